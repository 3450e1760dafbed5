//! The encodings of the version types: their fields in order.

use super::{ConsensusEncoding, DecodeError, DecodeFault, EncodeError, Reader, write_big_size};
use crate::{
    ApiVersion, ApiVersionSet, CoreConsensusVersion, InvalidApiVersions, MAX_MAJORS, ModuleConsensusVersion,
    ModuleInstanceId, MultiApiVersion, SupportedApiVersionsSummary, SupportedCoreApiVersions,
    SupportedModuleApiVersions,
};

macro_rules! fields {
    ($($name:ty { $($field:ident),* })*) => {$(
        impl ConsensusEncoding for $name {
            fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
                $(self.$field.write(out)?;)*
                Ok(())
            }

            fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self { $($field: ConsensusEncoding::read(reader)?),* })
            }
        }
    )*};
}

fields! {
    ApiVersion { major, minor }
    CoreConsensusVersion { major, minor }
    ModuleConsensusVersion { major, minor }
    SupportedCoreApiVersions { core_consensus, api }
    SupportedModuleApiVersions { core_consensus, module_consensus, api }
    SupportedApiVersionsSummary<ModuleInstanceId> { core, modules }
    ApiVersionSet<ModuleInstanceId> { core, modules }
}

impl ConsensusEncoding for ModuleInstanceId {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        self.0.write(out)
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        u16::read(reader).map(Self)
    }
}

impl ConsensusEncoding for MultiApiVersion {
    fn write(&self, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        if self.len() > MAX_MAJORS {
            return Err(EncodeError::Versions(InvalidApiVersions::TooMany { max: MAX_MAJORS }));
        }
        write_big_size(self.len() as u64, out);
        self.iter().try_for_each(|version| version.write(out))
    }

    fn read(reader: &mut Reader<'_>) -> Result<Self, DecodeError> {
        // Collected first, so that the type's own check sees the whole list; the bound is checked
        // before, so that a count of 2^64 costs nothing.
        let at = reader.position();
        let refuse = |fault| DecodeError { at, fault: DecodeFault::Versions(fault) };
        let count = reader.big_size()?;
        if count > MAX_MAJORS as u64 {
            return Err(refuse(InvalidApiVersions::TooMany { max: MAX_MAJORS }));
        }
        let versions = (0..count).map(|_| ApiVersion::read(reader)).collect::<Result<Vec<_>, _>>()?;
        Self::try_from_sorted(versions).map_err(refuse)
    }
}
