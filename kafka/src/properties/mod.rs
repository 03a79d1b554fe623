//! Client properties: an allow-list, with Java's names translated into librdkafka's.
//!
//! ```text
//! as the user wrote them --table.rs, kind.rs: which are allowed, what each becomes--> librdkafka's names and values, notes
//!                          security.rs: those that only make sense together (TLS, SASL)
//! ```
//!
//! Owns: what a user may set on a client, the remedy for what he may not, and when a secret's reference is followed.
//! Never does: choose what correctness depends on (the clients lay their own settings over these), keep or show a
//! secret. A property that is on no list is refused: some of librdkafka's load code or run commands.

mod jaas;
mod java_file;
mod kind;
#[cfg(test)]
mod properties_test;
mod reference;
mod security;
mod suggestion;
mod table;

use std::collections::BTreeMap;
use std::fmt;

use common::config::{ClientProperties, ClusterConfig};

use crate::error::{Error, ErrorKind};
use kind::Kind;
use table::{Action, Rule};

pub use java_file::parse_java_properties;

/// What a client is for. A property of another role is no mistake, since a cluster can be source and target at once,
/// but goes to none but its own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Reading records, and the offsets of a group.
    Consumer,
    /// Writing records.
    Producer,
    /// Describing and changing the cluster.
    Admin,
}

/// Properties in librdkafka's words. Its `Debug` shows names only, since a value may be a secret.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Translated {
    /// librdkafka's names and values, secrets included.
    pub config: BTreeMap<String, String>,
    /// What was ignored, and why that changes nothing for the worse; without secrets.
    pub notes: Vec<String>,
}

impl fmt::Debug for Translated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Translated").field("config", &self.config.keys()).field("notes", &self.notes).finish()
    }
}

/// What a client of the cluster is configured with. Follows references to secrets.
///
/// # Errors
/// `Config`, with the property's name, its value unless that is or may be a secret, and the remedy.
pub fn client_config(cluster: &ClusterConfig, role: Role) -> Result<BTreeMap<String, String>, Error> {
    translate(cluster, role).map(|translated| translated.config)
}

/// As `client_config`, with notes on what was ignored.
pub fn translate(cluster: &ClusterConfig, role: Role) -> Result<Translated, Error> {
    let wrong = |text| Error::new(ErrorKind::Config, format_args!("cluster {}: {text}", cluster.name));
    Given { properties: &cluster.properties, follow: reference::follow }.translate(role).map_err(wrong)
}

/// Checks properties that are to be kept in the table of a fleet, without following a reference: each must be allowed,
/// and secrets must be references.
///
/// # Errors
/// `Config`, as for `client_config`.
pub fn check_for_table(properties: &ClientProperties) -> Result<(), Error> {
    let wrong = |text: String| Error::new(ErrorKind::Config, text);
    let given = Given { properties, follow: |value| Ok(value.to_owned()) };
    for role in [Role::Consumer, Role::Producer, Role::Admin] {
        given.translate(role).map_err(wrong)?;
    }
    for (key, value) in &properties.0 {
        let is_safe = match key.as_str() {
            "sasl.jaas.config" if !reference::is_whole(value) => jaas::parse(value).is_ok_and(|login| {
                login.options.get("password").is_none_or(|password| reference::is_reference(password))
            }),
            _ => !table::is_password(key) || reference::is_reference(value),
        };
        if !is_safe {
            return Err(wrong(format!("property {key} holds a secret: give it as ${{file:PATH}} or ${{env:NAME}}")));
        }
    }
    Ok(())
}

/// The properties of one client on their way. Errors are texts without secrets.
struct Given<'a> {
    properties: &'a ClientProperties,
    /// Replaces the references in a value.
    follow: fn(&str) -> Result<String, String>,
}

impl Given<'_> {
    /// A value as it was written; nothing for an empty one.
    fn raw(&self, key: &str) -> Option<&str> {
        self.properties.0.get(key).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// A value with its references followed.
    fn value(&self, key: &str) -> Result<Option<String>, String> {
        self.raw(key).map(|raw| self.follow(key, raw)).transpose()
    }

    fn follow(&self, key: &str, raw: &str) -> Result<String, String> {
        (self.follow)(raw).map_err(|why| format!("property {key}: {why}"))
    }

    fn translate(&self, role: Role) -> Result<Translated, String> {
        let mut translated = Translated::default();
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        for (key, raw) in &self.properties.0 {
            let rule = table::find(key).ok_or_else(|| suggestion::unknown(key))?;
            let Some((name, value)) = self.apply(rule, role, key, raw, &mut translated.notes)? else { continue };
            if let Some(other) = came_from.insert(name, key) {
                return Err(format!("properties {other} and {key} are two names of one setting: keep one of them"));
            }
            translated.config.insert(name.to_owned(), value);
        }
        if translated.config.get("bootstrap.servers").is_none_or(String::is_empty) {
            let remedy = "set it to the brokers' addresses, such as broker-1:9092,broker-2:9092";
            return Err(format!("property bootstrap.servers is missing: {remedy}"));
        }
        security::translate(self, &mut translated)?;
        Ok(translated)
    }

    /// What one property becomes, if anything.
    fn apply(
        &self,
        rule: &Rule,
        role: Role,
        key: &str,
        raw: &str,
        notes: &mut Vec<String>,
    ) -> Result<Option<(&'static str, String)>, String> {
        let refused = |why: &str| Err(format!("property {}: {why}", shown(key, raw)));
        match rule.action {
            Action::Refuse(why) => refused(why),
            Action::Together => Ok(None),
            Action::Caller(kind) => {
                kind.check(self.follow(key, raw)?.trim()).map_or_else(|why| refused(&why), |_| Ok(None))
            }
            Action::Only(values, why) => {
                let value = self.follow(key, raw)?;
                if values.contains(&value.trim()) { Ok(None) } else { refused(why) }
            }
            Action::Ignore(agreeing, why) => {
                if rule.is_for(role) && !agreeing.contains(&raw.trim()) {
                    notes.push(format!("property {key} is ignored: {why}"));
                }
                Ok(None)
            }
            Action::Pass(name, kind) => {
                let value = self.follow(key, raw)?;
                // a reference that is not followed now can lead to anything
                let kind = if reference::is_reference(&value) { Kind::Text } else { kind };
                match kind.check(value.trim()) {
                    Err(why) => refused(&why),
                    Ok(value) => Ok(rule.is_for(role).then_some((name, value))),
                }
            }
        }
    }
}

/// The property as an error shows it: with its value only where that can be no secret.
fn shown(key: &str, raw: &str) -> String {
    if table::may_be_shown(key) && !reference::is_reference(raw) {
        format!("{key}={}", raw.trim())
    } else {
        key.to_owned()
    }
}
