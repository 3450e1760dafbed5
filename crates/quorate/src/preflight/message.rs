//! The protobuf message of a preflight, and its way to and from the types that are worked with.
//!
//! The rule: these structs are `docs/specs/preflight.proto`, field by field; a test holds the two
//! together. Every check of content happens here, in both directions.

use bytes::Bytes;
use quorate_versioning::{
    ApiVersion, Component, CoreConsensusVersion, MAX_MAJORS, ModuleConsensusVersion, MultiApiVersion,
    SupportedCoreApiVersions, SupportedModuleApiVersions,
};

use super::{
    Inconsistency, MAX_MODULE_NAME_BYTES, MAX_PREFLIGHT_MODULES, NodeVersions, PreflightError,
    PreflightLimit, VersionSummary, check,
};

/// The whole message.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Preflight {
    #[prost(message, optional, tag = "1")]
    pub(super) needs: Option<Summary>,
    #[prost(message, optional, tag = "2")]
    pub(super) offers: Option<Summary>,
    #[prost(bytes = "bytes", tag = "3")]
    pub(super) app: Bytes,
}

/// What a node needs, or what it offers.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Summary {
    #[prost(message, optional, tag = "1")]
    pub(super) core_consensus: Option<Version>,
    #[prost(message, repeated, tag = "2")]
    pub(super) core_api: Vec<Version>,
    #[prost(message, repeated, tag = "3")]
    pub(super) modules: Vec<Module>,
}

/// One module.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Module {
    #[prost(string, tag = "1")]
    pub(super) name: String,
    #[prost(message, optional, tag = "2")]
    pub(super) core_consensus: Option<Version>,
    #[prost(message, optional, tag = "3")]
    pub(super) module_consensus: Option<Version>,
    #[prost(message, repeated, tag = "4")]
    pub(super) api: Vec<Version>,
}

/// A consensus or API version.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub(super) struct Version {
    #[prost(uint32, tag = "1")]
    pub(super) major: u32,
    #[prost(uint32, tag = "2")]
    pub(super) minor: u32,
}

impl TryFrom<&super::Preflight> for Preflight {
    type Error = PreflightError;

    fn try_from(preflight: &super::Preflight) -> Result<Self, PreflightError> {
        Ok(Self {
            needs: Some(Summary::try_from(&preflight.versions.needs)?),
            offers: Some(Summary::try_from(&preflight.versions.offers)?),
            app: preflight.app.clone(),
        })
    }
}

impl TryFrom<Preflight> for super::Preflight {
    type Error = PreflightError;

    fn try_from(message: Preflight) -> Result<Self, PreflightError> {
        let needs = present(message.needs, "needs")?.try_into()?;
        let offers = present(message.offers, "offers")?.try_into()?;
        Ok(Self { versions: NodeVersions { needs, offers }, app: message.app })
    }
}

impl TryFrom<&VersionSummary> for Summary {
    type Error = PreflightError;

    fn try_from(summary: &VersionSummary) -> Result<Self, PreflightError> {
        check(PreflightLimit::Modules, summary.modules.len(), MAX_PREFLIGHT_MODULES)?;
        let CoreConsensusVersion { major, minor } = summary.core.core_consensus;
        Ok(Self {
            core_consensus: Some(Version { major, minor }),
            core_api: write_api(&summary.core.api)?,
            modules: summary.modules.iter().map(write_module).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<Summary> for VersionSummary {
    type Error = PreflightError;

    fn try_from(message: Summary) -> Result<Self, PreflightError> {
        check(PreflightLimit::Modules, message.modules.len(), MAX_PREFLIGHT_MODULES)?;
        let Version { major, minor } = present(message.core_consensus, "core_consensus")?;
        let mut summary = Self::new(SupportedCoreApiVersions {
            core_consensus: CoreConsensusVersion::new(major, minor),
            api: read_api(&message.core_api, || Component::Core)?,
        });
        for module in message.modules {
            let (name, versions) = read_module(module)?;
            match summary.modules.last_key_value().map(|(last, _)| last) {
                Some(last) if name == *last => return Err(Inconsistency::DuplicateModule { name }.into()),
                Some(last) if name < *last => {
                    return Err(Inconsistency::UnsortedModule { name, after: last.clone() }.into());
                }
                _ => summary.modules.insert(name, versions),
            };
        }
        Ok(summary)
    }
}

fn write_module((name, versions): (&String, &SupportedModuleApiVersions)) -> Result<Module, PreflightError> {
    check_name(name)?;
    let CoreConsensusVersion { major, minor } = versions.core_consensus;
    let core_consensus = Some(Version { major, minor });
    let ModuleConsensusVersion { major, minor } = versions.module_consensus;
    let module_consensus = Some(Version { major, minor });
    Ok(Module { name: name.clone(), core_consensus, module_consensus, api: write_api(&versions.api)? })
}

fn read_module(module: Module) -> Result<(String, SupportedModuleApiVersions), PreflightError> {
    check_name(&module.name)?;
    let core = present(module.core_consensus, "core_consensus")?;
    let own = present(module.module_consensus, "module_consensus")?;
    let versions = SupportedModuleApiVersions {
        core_consensus: CoreConsensusVersion::new(core.major, core.minor),
        module_consensus: ModuleConsensusVersion::new(own.major, own.minor),
        api: read_api(&module.api, || Component::Module(module.name.clone()))?,
    };
    Ok((module.name, versions))
}

fn write_api(api: &MultiApiVersion) -> Result<Vec<Version>, PreflightError> {
    check(PreflightLimit::Majors, api.len(), MAX_MAJORS)?;
    Ok(api.iter().map(|ApiVersion { major, minor }| Version { major, minor }).collect())
}

fn read_api(
    api: &[Version],
    component: impl FnOnce() -> Component<String>,
) -> Result<MultiApiVersion, PreflightError> {
    check(PreflightLimit::Majors, api.len(), MAX_MAJORS)?;
    MultiApiVersion::try_from_sorted(api.iter().map(|version| ApiVersion::new(version.major, version.minor)))
        .map_err(|source| Inconsistency::Api { component: component(), source }.into())
}

/// Names are shown to people, in refusals too, so they must print as what they are.
fn check_name(name: &str) -> Result<(), PreflightError> {
    check(PreflightLimit::ModuleName, name.len(), MAX_MODULE_NAME_BYTES)?;
    if name.is_empty() || name.chars().any(misleads) {
        return Err(Inconsistency::ModuleName { name: name.to_owned() }.into());
    }
    Ok(())
}

/// Control characters, line and paragraph separators, and what turns the direction of text.
fn misleads(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn present<T>(part: Option<T>, field: &'static str) -> Result<T, PreflightError> {
    part.ok_or(PreflightError::Inconsistent(Inconsistency::Missing { field }))
}
