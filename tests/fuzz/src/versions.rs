//! Version summaries from any JSON: what is read keeps its rules, and the choice stands in both
//! lists.

use quorate_versioning::{
    ChosenApi, Incompatible, MAX_MAJORS, MultiApiVersion, SupportedApiVersionsSummary, choose, mutual,
};

/// Two summaries, one per line, or one against itself.
pub fn versions(input: &[u8]) {
    let mut lines = input.splitn(2, |byte| *byte == b'\n');
    let Some(ours) = lines.next().and_then(read) else { return };
    let theirs = lines.next().and_then(read).unwrap_or_else(|| ours.clone());

    let choice = choose(&ours, &theirs);
    check(&choice.core, &ours.core.api, &theirs.core.api);
    assert!(choice.modules.keys().eq(ours.modules.keys()), "each needed module is reported");
    for (key, chosen) in &choice.modules {
        match theirs.modules.get(key) {
            Some(offered) => check(chosen, &ours.modules[key].api, &offered.api),
            None => assert_eq!(chosen, &Err(Incompatible::NotOffered)),
        }
    }
    for problem in choice.problems() {
        assert!(problem.to_string().len() < 1_000, "a reason is short");
    }
    let at_theirs = mutual(&theirs, &theirs, &ours, &ours);
    assert_eq!(mutual(&ours, &ours, &theirs, &theirs), at_theirs.swapped());
}

fn read(json: &[u8]) -> Option<SupportedApiVersionsSummary> {
    let summary: SupportedApiVersionsSummary = serde_json::from_slice(json).ok()?;
    let written = serde_json::to_vec(&summary).expect("it is plain data");
    assert_eq!(serde_json::from_slice::<SupportedApiVersionsSummary>(&written).ok().as_ref(), Some(&summary));
    for api in summary.modules.values().map(|module| &module.api).chain([&summary.core.api]) {
        assert!(api.len() <= MAX_MAJORS);
        assert!(api.iter().zip(api.iter().skip(1)).all(|(a, b)| a.major < b.major), "majors ascend");
    }
    Some(summary)
}

fn check(chosen: &Result<ChosenApi, Incompatible>, needs: &MultiApiVersion, offers: &MultiApiVersion) {
    if let Ok(chosen) = chosen {
        let needed = needs.get_by_major(chosen.version.major).expect("the needs list it");
        assert!(needed.is_satisfied_by(chosen.version));
        assert_eq!(offers.get_by_major(chosen.version.major), Some(chosen.version));
    }
}
