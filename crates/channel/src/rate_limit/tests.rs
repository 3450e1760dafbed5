//! The budget: its order, its epochs, its clocks, what survives a restart.

use super::*;
use proptest::prelude::*;
use quorate_base::Wall;

fn at(mono: u64, wall: u64) -> Now {
    Now::new(Mono::from_origin(Duration::from_secs(mono)), Wall::from_unix(Duration::from_secs(wall)))
}

fn limiter(per_epoch: u32) -> RateLimiter<u32> {
    let epoch = Duration::from_secs(10);
    RateLimiter::new(
        at(0, 1_000),
        RateLimitConfig { per_epoch: Some(per_epoch), epoch, ..Default::default() },
    )
}

fn drain(limiter: &mut RateLimiter<u32>, now: Now) -> Vec<u32> {
    std::iter::from_fn(|| limiter.poll(now).inspect(|_| limiter.charge())).collect()
}

#[test]
fn what_is_over_budget_leaves_in_order_in_the_next_epoch() {
    let mut limiter = limiter(2);
    (1..=5).for_each(|item| limiter.enqueue(item));
    assert_eq!(drain(&mut limiter, at(3, 1_003)), [1, 2]);
    assert_eq!(limiter.state(at(3, 1_003)), BudgetState::Exhausted);
    assert_eq!(limiter.poll_timeout(at(3, 1_003)), Some(at(10, 0).mono));
    assert_eq!(limiter.expected_at(at(3, 1_003)), Some(at(20, 0).mono));
    assert_eq!(drain(&mut limiter, at(10, 1_010)), [3, 4]);
    assert_eq!(drain(&mut limiter, at(20, 1_020)), [5]);
    assert_eq!(limiter.poll_timeout(at(20, 1_020)), None);
}

#[test]
fn without_a_limit_nothing_waits() {
    let mut limiter = RateLimiter::new(at(0, 1_000), RateLimitConfig::default());
    (1..=5).for_each(|item| limiter.enqueue(item));
    assert_eq!(drain(&mut limiter, at(0, 1_000)).len(), 5);
    assert_eq!(limiter.expected_at(at(0, 1_000)), None);
}

#[test]
fn a_wall_clock_that_jumps_back_neither_refills_nor_freezes() {
    let mut limiter = limiter(1);
    (1..=3).for_each(|item| limiter.enqueue(item));
    assert_eq!(drain(&mut limiter, at(0, 5_000)), [1], "a jump forward is another epoch");
    assert_eq!(drain(&mut limiter, at(1, 1_000)), [0u32; 0], "the jump back refills nothing");
    assert_eq!(drain(&mut limiter, at(10, 1_009)), [2], "one period later an epoch is over");
}

#[test]
fn the_sync_message_goes_first_and_once() {
    let mut limiter = limiter(10);
    limiter.enqueue(1);
    limiter.enqueue_urgent(8);
    limiter.enqueue_urgent(9);
    assert_eq!(drain(&mut limiter, at(0, 1_000)), [8, 1]);
}

#[test]
fn syncs_do_not_spend_all_of_a_small_budget() {
    let mut limiter = limiter(1);
    let mut left = Vec::new();
    for epoch in 0..4 {
        limiter.enqueue(epoch);
        limiter.enqueue_urgent(100 + epoch);
        left.extend(drain(&mut limiter, at(10 * u64::from(epoch), 1_000 + 10 * u64::from(epoch))));
    }
    assert_eq!(left, [100, 0, 101, 1]);
}

#[test]
fn the_state_is_approaching_before_it_is_exhausted() {
    let mut limiter = limiter(5);
    let states: Vec<_> = (0..6)
        .map(|_| {
            let state = limiter.state(at(0, 1_000));
            limiter.charge();
            state
        })
        .collect();
    use BudgetState::{Approaching, Exhausted, Normal};
    assert_eq!(states, [Normal, Normal, Normal, Normal, Approaching, Exhausted]);
}

#[test]
fn the_network_s_quota_tightens_the_limit_and_never_loosens_it() {
    let mut limiter = limiter(3);
    limiter.set_quota(Some(1));
    (1..=5).for_each(|item| limiter.enqueue(item));
    assert_eq!(drain(&mut limiter, at(0, 1_000)), [1]);
    limiter.set_quota(Some(100));
    assert_eq!(drain(&mut limiter, at(1, 1_001)), [2, 3], "the configured limit, and what was spent counts");
    limiter.set_quota(Some(0));
    assert_eq!(drain(&mut limiter, at(10, 1_010)), [0_u32; 0], "a quota of nothing admits nothing");
    assert!(limiter.expected_at(at(10, 1_010)).is_some());
    limiter.set_quota(None);
    assert_eq!(drain(&mut limiter, at(10, 1_010)), [4, 5]);
}

#[test]
fn a_restart_does_not_refill_the_budget() {
    let config = limiter(2).config;
    let spent = SpentBudget { epoch: 100, spent: 2, left: Duration::from_secs(4) };
    let reopened = |mono, wall| {
        let mut limiter = RateLimiter::new(at(mono, wall), config);
        limiter.restore(at(mono, wall), spent);
        limiter.enqueue(1);
        limiter
    };
    let mut same = reopened(0, 1_006);
    assert_eq!(drain(&mut same, at(0, 1_006)), [0_u32; 0]);
    assert_eq!(same.poll_timeout(at(0, 1_006)), Some(at(4, 0).mono));
    assert_eq!(drain(&mut same, at(4, 1_010)), [1]);
    let mut back = reopened(0, 5);
    assert_eq!(drain(&mut back, at(3, 8)), [0_u32; 0], "the wall clock was set back");
    assert_eq!(drain(&mut back, at(4, 9)), [1], "what was left of the epoch is over");
    assert_eq!(drain(&mut reopened(0, 1_010), at(0, 1_010)), [1], "the next epoch");
}

/// What happens to a limiter.
#[derive(Debug, Clone)]
enum Step {
    Enqueue(u8),
    Pass { millis: u64 },
    Jump { seconds: i64 },
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6u8).prop_map(Step::Enqueue),
        4 => (0..25_000u64).prop_map(|millis| Step::Pass { millis }),
        1 => (-100..100i64).prop_map(|seconds| Step::Jump { seconds }),
        1 => Just(Step::Restart),
    ]
}

proptest! {
    /// Whatever clocks and restarts do: first in, first out; nothing lost; and never more than the limit leaves between two
    /// refills, of which there is at most one for each epoch that the wall clock newly reaches and each that passes.
    #[test]
    fn the_budget_holds_whatever_the_clocks_do(limit in 1..5u32, steps in prop::collection::vec(step(), 1..60)) {
        let (mut mono, mut wall) = (0_u64, 1_000_000_u64);
        let clock = |mono: u64, wall: u64| Now::new(
            Mono::from_origin(Duration::from_millis(mono)), Wall::from_unix_millis(wall));
        let mut limiter = limiter(limit);
        let (mut queued, mut left) = (0_u32, Vec::new());
        // The highest epoch seen since the last refill by monotonic time, which may lower it.
        let (mut epoch, mut refilled, mut refills) = (wall / 10_000, 0, 1_u32);
        for step in steps {
            match step {
                Step::Enqueue(count) => {
                    for _ in 0..count {
                        limiter.enqueue(queued);
                        queued += 1;
                    }
                }
                Step::Pass { millis } => {
                    mono += millis;
                    wall += millis;
                }
                Step::Jump { seconds } => wall = wall.saturating_add_signed(seconds * 1_000),
                Step::Restart => {
                    let spent = limiter.spent(clock(mono, wall));
                    let waiting = std::mem::take(&mut limiter.queue);
                    limiter = RateLimiter::new(clock(0, wall), limiter.config);
                    limiter.restore(clock(0, wall), spent);
                    limiter.queue = waiting;
                    refilled = spent.left.as_millis() as i64 - 10_000;
                    mono = 0;
                }
            }
            let by_mono = mono as i64 - refilled >= 10_000;
            if wall / 10_000 > epoch || by_mono {
                (epoch, refilled) = (wall / 10_000, mono as i64);
                refills += 1;
            }
            while let Some(item) = limiter.poll(clock(mono, wall)) {
                limiter.charge();
                left.push(item);
            }
            prop_assert!(left.len() as u32 <= refills * limit, "{} in {refills} refills", left.len());
            let expected = limiter.expected_at(clock(mono, wall));
            if limiter.is_empty() && limiter.budget() > Some(0) {
                prop_assert_eq!(expected, None);
            } else {
                prop_assert!(limiter.poll_timeout(clock(mono, wall)).is_none_or(|at| expected.is_some_and(|e| e >= at)));
            }
        }
        // Left alone it lets everything out, in order, at the instants that it names.
        while let Some(next) = limiter.poll_timeout(clock(mono, wall)) {
            let next = next.elapsed().as_millis() as u64;
            prop_assert!(next > mono && next <= mono + 10_000, "no hot loop, no frozen epoch: {} after {}", next, mono);
            wall += next - mono;
            mono = next;
            while let Some(item) = limiter.poll(clock(mono, wall)) {
                limiter.charge();
                left.push(item);
            }
        }
        prop_assert_eq!(left, (0..queued).collect::<Vec<_>>());
    }
}
