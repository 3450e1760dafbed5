//! The JSON is what Fedimint's servers speak, to the byte, and what breaks a rule is refused by name.

use quorate_versioning::{
    ApiVersion, MAX_MAJORS, ModuleInstanceId, MultiApiVersion, SupportedApiVersionsSummary,
    SupportedCoreApiVersions, SupportedModuleApiVersions,
};

/// One guardian's answer to `version`, as a live federation of version 0.13 gave it.
const LIVE: &str = include_str!("vectors/live-0.13.json");
/// The smallest answer with a module, unchanged from version 0.2 to 0.13.
const ONE_MODULE: &str = include_str!("vectors/one-module.json");
/// A module number above 255 and a module with two majors.
const TWO_MODULES: &str = include_str!("vectors/two-modules.json");

fn read(json: &str) -> Result<SupportedApiVersionsSummary, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

fn core_with_api(api: &str) -> Result<SupportedCoreApiVersions, String> {
    let json = format!(r#"{{"core_consensus":{{"major":2,"minor":1}},"api":{api}}}"#);
    serde_json::from_str(&json).map_err(|error| error.to_string())
}

#[test]
fn a_live_answer_is_read_and_written_back_to_the_byte() {
    for vector in [LIVE, ONE_MODULE, TWO_MODULES] {
        let summary = read(vector).expect("a server wrote it");
        assert_eq!(serde_json::to_string(&summary).expect("it is plain data"), vector.trim_end());
    }
}

#[test]
fn the_values_of_an_answer_are_where_they_belong() {
    let expected = SupportedApiVersionsSummary::new(
        SupportedCoreApiVersions::try_from_raw((2, 1), &[(0, 9)]).expect("one major"),
    )
    .with_module(0, SupportedModuleApiVersions::try_from_raw((2, 1), (3, 0), &[(0, 3)]).expect("one major"))
    .with_module(
        300,
        SupportedModuleApiVersions::try_from_raw((2, 1), (2, 2), &[(1, 0), (0, 1)]).expect("two majors"),
    );
    assert_eq!(read(TWO_MODULES), Ok(expected));
}

#[test]
fn fields_that_a_newer_server_adds_are_skipped() {
    let newer = ONE_MODULE.replacen('{', r#"{"since":"0.14","#, 1);
    assert_eq!(read(&newer), read(ONE_MODULE));
}

#[test]
fn a_broken_list_says_which_major_breaks_it() {
    let fault = |api: &str| core_with_api(api).expect_err("the list is broken");
    let duplicate = fault(r#"[{"major":0,"minor":1},{"major":3,"minor":0},{"major":3,"minor":1}]"#);
    assert!(duplicate.starts_with("API major 3 is listed twice"), "{duplicate}");
    let unsorted = fault(r#"[{"major":5,"minor":1},{"major":3,"minor":0}]"#);
    assert!(unsorted.starts_with("API major 3 is listed after 5"), "{unsorted}");
}

#[test]
fn a_list_is_as_long_as_the_bound_allows() {
    let list = |count: usize| {
        let items: Vec<_> = (0..count).map(|major| format!(r#"{{"major":{major},"minor":0}}"#)).collect();
        format!("[{}]", items.join(","))
    };
    assert_eq!(core_with_api(&list(MAX_MAJORS)).map(|core| core.api.len()), Ok(MAX_MAJORS));
    let fault = core_with_api(&list(MAX_MAJORS + 1)).expect_err("one too many");
    assert!(fault.starts_with("more than 256 API majors"), "{fault}");
}

#[test]
fn a_module_that_is_listed_twice_is_refused() {
    let module =
        r#"{"core_consensus":{"major":2,"minor":1},"module_consensus":{"major":2,"minor":0},"api":[]}"#;
    let core = r#"{"core_consensus":{"major":2,"minor":1},"api":[]}"#;
    let fault = read(&format!(r#"{{"core":{core},"modules":{{"4":{module},"4":{module}}}}}"#))
        .expect_err("4 stands there twice");
    assert!(fault.starts_with("module 4 is listed twice"), "{fault}");
}

#[test]
fn a_module_number_has_sixteen_bits() {
    assert!(read(&TWO_MODULES.replace("300", "65535")).is_ok());
    for key in ["65536", "-1", "01", "x", ""] {
        assert!(read(&TWO_MODULES.replace("300", key)).is_err(), "module {key}");
    }
}

#[test]
fn wrong_shapes_are_refused() {
    for (what, with) in [
        (r#""core_consensus":{"major":2,"minor":1}"#, r#""core_consensus":1"#),
        (r#"{"major":0,"minor":9}"#, r#"{"major":0,"minor":4294967296}"#),
        (r#"{"major":0,"minor":9}"#, r#"{"major":0,"minor":-1}"#),
        (r#"{"major":0,"minor":9}"#, r#"{"major":0}"#),
        (r#""modules":{"#, r#""others":{"#),
    ] {
        assert!(LIVE.contains(what), "the vector changed under the test");
        assert!(read(&LIVE.replacen(what, with, 1)).is_err(), "{with}");
    }
}

#[test]
fn module_names_are_keys_between_nodes() {
    let named = ONE_MODULE.replace(r#""0":"#, r#""chat":"#);
    let summary: SupportedApiVersionsSummary<String> =
        serde_json::from_str(&named).expect("any string is a name");
    assert_eq!(summary.modules["chat"].api, MultiApiVersion::from(ApiVersion::new(0, 1)));
    assert_eq!(serde_json::to_string(&ModuleInstanceId(7)).expect("a number"), "7");
}
