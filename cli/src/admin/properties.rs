//! Client properties of a cluster, from flags and a file; checked before anything is sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use common::config::ClientProperties;
use kafka::properties::{check_for_table, parse_java_properties};

use crate::failure::Failure;
use crate::values::is_reachable_form;

/// Read by `mirror` from its own files; in a fleet each route says it.
const OF_MIRROR: [(&str, &str); 2] = [
    ("group.id", "each route stores its offsets under a group of its own"),
    ("auto.offset.reset", "say it with --start of route add"),
];

/// Both names of the property with the brokers' addresses.
const BROKERS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];
/// What the Kafka client takes before an address: `SSL://broker-1:9093`.
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

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
        check_brokers(&properties)?;
        Ok((properties.0, notes))
    }
}

/// Each broker must have an address with a port. What a reference stands for is known only where it is followed.
fn check_brokers(properties: &ClientProperties) -> Result<(), Failure> {
    for key in BROKERS {
        let Some(list) = properties.0.get(key).filter(|list| !list.contains("${")) else { continue };
        let mut addresses = list.split(',').map(str::trim).filter(|address| !address.is_empty()).peekable();
        let nobody = addresses.peek().is_none().then_some(list.as_str());
        if let Some(wrong) = nobody.or_else(|| addresses.find(|address| !is_reachable_form(plain(address)))) {
            return Err(Failure::usage(format!(
                "property {key}: {wrong:?} is no broker's address: give HOST:PORT, such as broker-1:9092"
            )));
        }
    }
    Ok(())
}

/// The address without what the Kafka client takes before and behind it, as of a URL.
fn plain(address: &str) -> &str {
    match address.split_once("://") {
        Some((protocol, rest)) if PROTOCOLS.iter().any(|known| known.eq_ignore_ascii_case(protocol)) => {
            rest.split_once('/').map_or(rest, |(address, _)| address)
        }
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brokers_are_given_as_the_kafka_client_takes_them_with_a_port_each() {
        let check = |list: &str| check_brokers(&ClientProperties::from_iter([("bootstrap.servers", list)]));
        for good in [
            "a:9092",
            "127.0.0.1:1, [::1]:9092 ,",
            "PLAINTEXT://a:9092,b:9092",
            "sasl_ssl://a:9093/",
            "${env:BROKERS}",
            "${file:/etc/brokers}:9092",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, named) in [
            ("foo", "foo"),
            ("a:9092,b", "b"),
            ("127.0.0.1:99999", "127.0.0.1:99999"),
            ("a:0", "a:0"),
            ("http://a:9092", "http://a:9092"),
            ("SSL://a", "SSL://a"),
            (" ,", " ,"),
        ] {
            let failure = check(bad).unwrap_err();
            assert!(
                failure.text.contains(&format!("bootstrap.servers: {named:?} is no broker's address")),
                "{failure}"
            );
        }
    }
}
