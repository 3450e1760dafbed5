//! Four guardians of whom one lies: the value on which the others agree, what each of them did, and the versions to use.
//!
//! Run: `cargo run -p quorate --features query --example federation`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use quorate::base::MemoryStore;
use quorate::query::{ClientSettings, Discovery, DiscoveryConfig, Federation, PeerId, query::api};
use quorate::versioning::{SupportedApiVersionsSummary, SupportedCoreApiVersions};
use quorate_testkit::guardians::{Fault, Guardians};
use std::sync::Arc;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Scripted guardians on 127.0.0.1, in place of a federation.
    let guardians = Guardians::start(4).await?;
    guardians.guardian(1).set_fault(Fault::Liar).await;

    let endpoints = guardians.urls().iter().map(|url| url.parse()).collect::<Result<Vec<_>, _>>()?;
    let federation = Federation::at((0..).map(PeerId).zip(endpoints), ClientSettings::new()?)?;

    // Three of four must say the same.
    let asked = federation.explain(api::session_count(federation.num_peers())).await;
    for peer in &asked.report.peers {
        println!("{peer}");
    }
    assert_eq!(asked.outcome?, 42);

    // With another one dead there is no quorum: an error in bounded time, which says who did what.
    guardians.guardian(2).set_fault(Fault::Refuse).await;
    let error = federation.session_count().await.expect_err("two of four are faulty");
    println!("{error}");

    // One dead guardian is not waited for.
    guardians.guardian(1).set_fault(Fault::Honest).await;
    let needs = SupportedApiVersionsSummary::new(SupportedCoreApiVersions::try_from_raw((2, 0), &[(0, 4)])?);
    let store = Arc::new(MemoryStore::new());
    let discovery = Discovery::start(federation.clone(), needs, store, DiscoveryConfig::default()).await?;
    println!("versions: {}", discovery.current().set);

    federation.close().await;
    Ok(())
}
