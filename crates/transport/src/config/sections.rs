//! A configuration file: sections of JSON by name, as Kitsune2's modules have them.
//!
//! The rule: who owns a section reads it as a type of its own, and a section that is missing is its default.

use super::ConfigError;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::BTreeMap;

/// Sections by name: `{"transport": {…}, "irohTransport": {…}}`.
///
/// ```
/// use quorate_transport::{ConfigSections, TransportConfig};
///
/// let file = r#"{"transport": {"maxFrameBytes": 1048576, "connectTimeoutS": 10}}"#;
/// let config: ConfigSections = serde_json::from_str(file).unwrap();
/// let core: TransportConfig = config.read("transport").unwrap();
/// assert_eq!(core.max_frame_bytes.get(), 1 << 20);
/// assert_eq!(core.max_connections.get(), 1_024);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ConfigSections(BTreeMap<String, Value>);

impl ConfigSections {
    /// The section of this name; its default where there is none.
    pub fn read<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, ConfigError> {
        match self.0.get(name) {
            Some(value) => T::deserialize(value).map_err(|error| section(name, &error)),
            None => Ok(T::default()),
        }
    }

    /// Writes the section of this name, in place of what was there.
    pub fn write<T: Serialize>(&mut self, name: &str, section_value: &T) -> Result<(), ConfigError> {
        let value = serde_json::to_value(section_value).map_err(|error| section(name, &error))?;
        self.0.insert(name.to_owned(), value);
        Ok(())
    }

    /// The names of the sections, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

fn section(name: &str, error: &serde_json::Error) -> ConfigError {
    ConfigError::Section { name: name.to_owned(), reason: error.to_string() }
}
