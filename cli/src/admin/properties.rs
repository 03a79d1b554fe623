//! Client properties of a cluster, from flags and a file; checked before anything is sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::config::ClientProperties;
use kafka::properties::{check_for_table, parse_java_properties};

use crate::failure::Failure;

/// Read by `mirror` from its own files; in a fleet each route says it.
const OF_MIRROR: [(&str, &str); 2] = [
    ("group.id", "each route stores its offsets under a group of its own"),
    ("auto.offset.reset", "say it with --start of route add"),
];

/// How properties are given.
#[derive(clap::Args, Clone, Debug)]
pub struct PropertyArgs {
    /// Brokers to ask first
    #[arg(long, value_name = "HOST:PORT,...")]
    bootstrap: Option<String>,

    /// A client property by its Java or librdkafka name; a secret as ${file:PATH} or ${env:NAME}. Can be repeated
    #[arg(long = "property", value_name = "KEY=VALUE")]
    property: Vec<String>,

    /// A Java properties file; the other flags come over it
    #[arg(long, value_name = "FILE")]
    properties: Option<PathBuf>,
}

impl PropertyArgs {
    /// Reads and checks them. Refusals name keys; a value may be a secret. The second part is what to note.
    pub fn read(&self) -> Result<(BTreeMap<String, String>, Vec<String>), Failure> {
        let mut properties = match &self.properties {
            Some(path) => {
                let place = format!("--properties {}", path.display());
                let text = fs::read_to_string(path)
                    .map_err(|error| Failure::usage(format!("{place}: can't be read: {error}")))?;
                parse_java_properties(&text).map_err(|error| Failure::usage(format!("{place}: {error}")))?
            }
            None => ClientProperties::default(),
        };
        for given in &self.property {
            let (key, value) = given
                .split_once('=')
                .filter(|(key, _)| !key.trim().is_empty())
                .ok_or_else(|| Failure::usage("--property: give KEY=VALUE, such as --property client.id=replisome"))?;
            properties.0.insert(key.trim().to_owned(), value.to_owned());
        }
        if let Some(bootstrap) = &self.bootstrap {
            properties.0.insert("bootstrap.servers".to_owned(), bootstrap.clone());
        }
        let mut notes = Vec::new();
        for (key, instead) in OF_MIRROR {
            if properties.0.remove(key).is_some() {
                notes.push(format!("property {key} is not kept: {instead}"));
            }
        }
        check_for_table(&properties).map_err(|error| Failure::usage(error.text))?;
        Ok((properties.0, notes))
    }
}
