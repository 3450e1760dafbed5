//! Over budget means later, in order and never lost; each envelope counts, repetitions and syncs included.

use quorate_channel::rate_limit::RateLimitConfig;
use quorate_channel::{ChannelConfig, ChannelEvent, SendOptions, SendRefused};
use quorate_testkit::world::{Setup, World};
use quorate_tests::{SECOND, acknowledged_by, from, payload};

fn limited(per_epoch: u32, config: ChannelConfig) -> Setup {
    let rate_limit = RateLimitConfig { per_epoch: Some(per_epoch), epoch: 60 * SECOND, ..Default::default() };
    Setup::default().config(ChannelConfig { rate_limit, ..config })
}

#[test]
fn what_is_over_budget_leaves_in_later_epochs() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let a = world.join("a", limited(5, acknowledged_by(&["b"])));
    let b = world.channel("b");
    let requests: Vec<_> = (0..20).map(|number| world.send(a, payload(number, 40))).collect();
    let sent = |w: &World| {
        requests.iter().filter(|request| w.saw(a, ChannelEvent::Sent { request: **request })).count()
    };
    assert_eq!(sent(&world), 5);
    let queued = |event: &&ChannelEvent| matches!(event, ChannelEvent::Queued { .. });
    assert_eq!(world.events(a).iter().filter(queued).count(), 15);
    let mut dispatched = 0;
    for _ in 0..4 {
        world.run_for(60 * SECOND);
        let now = world.stats(a).envelopes_dispatched;
        assert!(now - dispatched <= 10, "the first epoch and the next: {now} after {dispatched}");
        dispatched = now;
    }
    world.run_until(|w| sent(w) == 20 && w.inbox(b).len() == 20, 180 * SECOND);
    assert_eq!(from(&world, b, a), (0..20).map(|number| payload(number, 40)).collect::<Vec<_>>());
    assert!(world.elapsed() > 180 * SECOND);
}

/// What it has to acknowledge does not take all of a talker's budget, even where that is one envelope per epoch.
#[test]
fn acknowledgements_do_not_starve_content() {
    let mut world = World::seeded(1).latency(SECOND / 20);
    let a = world.channel("a");
    let b = world.join("b", limited(1, acknowledged_by(&["a"])));
    let requests: Vec<_> = (0..3).map(|number| world.send(b, payload(number, 40))).collect();
    for number in 0..600 {
        world.send(a, payload(number, 40));
        world.run_for(SECOND);
    }
    for request in requests {
        assert!(world.saw(b, ChannelEvent::Sent { request }), "in ten epochs of one envelope each");
    }
}

#[test]
fn ephemeral_messages_go_first_when_the_budget_runs_low() {
    let mut world = World::seeded(1);
    let a = world.join("a", limited(10, acknowledged_by(&["b"])));
    let b = world.channel("b");
    let ephemeral = SendOptions { ephemeral: true };
    world.try_send(a, "typing", ephemeral).unwrap();
    for number in 0..7 {
        world.send(a, payload(number, 40));
    }
    assert_eq!(world.try_send(a, "typing", ephemeral), Err(SendRefused::BudgetLow));
    world.run_for(SECOND);
    assert_eq!(world.inbox(b).iter().filter(|received| received.ephemeral).count(), 1);
}
