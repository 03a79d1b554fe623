//! A file and the environment, laid over each other: for each key the value that counts, and the place it was given.
//! What lies below is checked all the same, so that no mistake in the file waits for the variable to go, and noted.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs;
use std::path::Path;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::failure::Failure;

/// What environment variables begin with.
const PREFIX: &str = "REPLISOME_";
/// Edits up to which another name is taken for what was meant: a swapped pair of letters is two.
const DISTANCE_MAX: usize = 2;

/// A key and the form of its value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Key {
    /// As it stands in the file, with the section it is in: `timing.lease`.
    pub name: &'static str,
    /// Whether its value is a table of its own.
    pub is_map: bool,
}

/// A key with a plain value or a list.
pub const fn key(name: &'static str) -> Key {
    Key { name, is_map: false }
}

/// A key whose value is a table.
pub const fn map(name: &'static str) -> Key {
    Key { name, is_map: true }
}

/// What was given.
#[derive(Clone, Debug)]
enum Value {
    /// By the environment: a text that any form is read from.
    Environment(String),
    Text(String),
    Whole(String),
    List(Vec<Value>),
    Map(BTreeMap<String, Value>),
    /// Of another type, by its name.
    Other(&'static str),
}

/// A value and where it was given.
struct Given {
    place: String,
    value: Value,
}

/// All that was given.
pub struct Layers {
    file: Option<String>,
    /// What the file says, and over it what the environment says: the last one counts.
    given: BTreeMap<&'static str, Vec<Given>>,
    /// What the user should know all the same.
    pub notes: Vec<String>,
}

impl Layers {
    /// Reads the file, if there is one, and this process's environment.
    pub fn read(path: Option<&Path>, keys: &[Key]) -> Result<Self, Failure> {
        let read = |path: &Path| {
            let name = path.display().to_string();
            match fs::read_to_string(path) {
                Ok(text) => Ok((name, text)),
                Err(error) => Err(Failure::usage(format!("--config {name}: can't be read: {error}"))),
            }
        };
        // What is no text can't be one of ours.
        let environment = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty());
        Self::of(path.map(read).transpose()?, environment, keys)
    }

    fn of(
        file: Option<(String, String)>,
        environment: impl Iterator<Item = (String, String)>,
        keys: &[Key],
    ) -> Result<Self, Failure> {
        let mut layers = Self { file: None, given: BTreeMap::new(), notes: Vec::new() };
        if let Some((name, text)) = file {
            layers.take_file(&name, &text, keys)?;
            layers.file = Some(name);
        }
        for (variable, text) in environment {
            let distance = |key: &&Key| strsim::osa_distance(&variable, &environment_name(key.name));
            let Some(nearest) = keys.iter().min_by_key(distance) else { continue };
            match distance(&nearest) {
                0 => layers.take_variable(nearest.name, variable, text),
                1..=DISTANCE_MAX => layers.notes.push(format!(
                    "the environment variable {variable} is not read: did you mean {}?",
                    environment_name(nearest.name)
                )),
                _ => {}
            }
        }
        Ok(layers)
    }

    fn take_variable(&mut self, key: &'static str, variable: String, text: String) {
        let given = self.given.entry(key).or_default();
        if let Some(Given { place, .. }) = given.last() {
            self.notes.push(format!("{key} is taken from {variable}, not from {place}"));
        }
        given.push(Given { place: variable, value: Value::Environment(text) });
    }

    fn take_file(&mut self, name: &str, text: &str, keys: &[Key]) -> Result<(), Failure> {
        let place = |at: usize| format!("{name}:{}", text[..at.min(text.len())].matches('\n').count() + 1);
        let document = DeTable::parse(text).map_err(|error| {
            let place = error.span().map_or_else(|| name.to_owned(), |span| place(span.start));
            Failure::usage(format!("{place}: is not TOML: {}", error.message()))
        })?;
        self.take_table("", document.get_ref(), keys, &place)
    }

    fn take_table(
        &mut self,
        section: &str,
        table: &DeTable<'_>,
        keys: &[Key],
        place: &impl Fn(usize) -> String,
    ) -> Result<(), Failure> {
        for (name, value) in table {
            let full = format!("{section}{}", name.get_ref());
            let place_of_key = place(name.span().start);
            if let Some(key) = keys.iter().find(|key| key.name == full) {
                let value = value_of(value);
                self.given.insert(key.name, vec![Given { place: place_of_key, value }]);
                continue;
            }
            let inside = format!("{full}.");
            match value.get_ref() {
                DeValue::Table(table) if keys.iter().any(|key| key.name.starts_with(&inside)) => {
                    self.take_table(&inside, table, keys, place)?;
                }
                _ => return Err(Failure::usage(format!("{place_of_key}: {}", unknown(&full, keys)))),
            }
        }
        Ok(())
    }

    /// A text.
    pub fn text(&self, key: &Key) -> Result<Option<String>, Failure> {
        self.parsed(key, |text| Ok(text.to_owned()))
    }

    /// A text that is read by `parse`, whose error is a remedy.
    pub fn parsed<T>(&self, key: &Key, parse: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, Failure> {
        self.take(key, |value| match value {
            Value::Text(text) | Value::Environment(text) => parse(text).map_err(|remedy| format!("{text:?}: {remedy}")),
            _ => Err(other_form("a text in quotes", value)),
        })
    }

    /// A whole number of at least `min`.
    pub fn whole(&self, key: &Key, min: u64, max: u64) -> Result<Option<u64>, Failure> {
        let form =
            format!("a whole number from {min}{}", if max == u64::MAX { String::new() } else { format!(" to {max}") });
        self.take_form(key, &form, |value| match value {
            Value::Whole(text) | Value::Environment(text) => {
                text.trim().parse().ok().filter(|number| (min..=max).contains(number))
            }
            _ => None,
        })
    }

    /// A list of texts; in the environment with commas between.
    pub fn list(&self, key: &Key) -> Result<Option<Vec<String>>, Failure> {
        self.take_form(key, "a list of texts, such as [\"127.0.0.1:7401\"]", |value| match value {
            Value::List(values) => values.iter().map(as_text).collect(),
            Value::Environment(text) => Some(items(text).map(str::to_owned).collect()),
            _ => None,
        })
    }

    /// A table of texts; in the environment `NAME=TEXT` with commas between.
    pub fn map(&self, key: &Key) -> Result<Option<BTreeMap<String, String>>, Failure> {
        assert!(key.is_map, "{} is declared as a plain key", key.name);
        self.take_form(key, "a table, such as { \"1\" = \"127.0.0.1:7401\" }", |value| match value {
            Value::Map(values) => values.iter().map(|(name, value)| Some((name.clone(), as_text(value)?))).collect(),
            Value::Environment(text) => items(text)
                .map(|item| item.split_once('=').map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned())))
                .collect(),
            _ => None,
        })
    }

    /// What is given must be given.
    pub fn needed<T>(&self, key: &Key, value: Option<T>, example: &str) -> Result<T, Failure> {
        let variable = environment_name(key.name);
        value.ok_or_else(|| match &self.file {
            Some(file) => Failure::usage(format!(
                "{file}: key {} is missing: add a line such as {} = {example}, or set {variable}",
                key.name, key.name
            )),
            None => {
                Failure::usage(format!("key {} is missing: give a file with --config, or set {variable}", key.name))
            }
        })
    }

    /// A refusal of what was given for the key.
    pub fn wrong(&self, key: &Key, text: impl Display) -> Failure {
        match self.given(key).last() {
            Some(given) => given.wrong(key, text),
            None => Failure::usage(format!("key {}: {text}", key.name)),
        }
    }

    fn given(&self, key: &Key) -> &[Given] {
        self.given.get(key.name).map_or(&[], Vec::as_slice)
    }

    /// The value that counts, as `read` has it, whose error is what to say of a value. Each value is read.
    fn take<T>(&self, key: &Key, read: impl Fn(&Value) -> Result<T, String>) -> Result<Option<T>, Failure> {
        let mut taken = None;
        for given in self.given(key) {
            taken = Some(read(&given.value).map_err(|text| given.wrong(key, text))?);
        }
        Ok(taken)
    }

    /// The same where all that can be wrong is the form.
    fn take_form<T>(&self, key: &Key, form: &str, read: impl Fn(&Value) -> Option<T>) -> Result<Option<T>, Failure> {
        self.take(key, |value| read(value).ok_or_else(|| other_form(form, value)))
    }
}

impl Given {
    /// A refusal of this value.
    fn wrong(&self, key: &Key, text: impl Display) -> Failure {
        let Self { place, value } = self;
        match value {
            Value::Environment(_) => Failure::usage(format!("{place}: {text}")),
            _ => Failure::usage(format!("{place}: key {}: {text}", key.name)),
        }
    }
}

fn other_form(form: &str, value: &Value) -> String {
    format!("give {form}, not {}", shown(value))
}

/// The variable that a key is given by in the environment.
fn environment_name(key: &str) -> String {
    format!("{PREFIX}{}", key.replace(['-', '.'], "_").to_uppercase())
}

fn value_of(value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Integer(number) if number.radix() == 10 => Value::Whole(number.as_str().to_owned()),
        DeValue::Array(values) => Value::List(values.iter().map(value_of).collect()),
        DeValue::Table(table) => {
            Value::Map(table.iter().map(|(name, value)| (name.get_ref().to_string(), value_of(value))).collect())
        }
        other => Value::Other(other.type_str()),
    }
}

fn as_text(value: &Value) -> Option<String> {
    if let Value::Text(text) = value { Some(text.clone()) } else { None }
}

fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Environment(text) | Value::Text(text) => format!("{text:?}"),
        Value::Whole(number) => number.clone(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a table".to_owned(),
        Value::Other(name) => format!("a {name}"),
    }
}

/// The refusal of a key that is not known. A key without its section is a near miss too.
fn unknown(name: &str, keys: &[Key]) -> String {
    let distance = |key: &&Key| {
        let last = key.name.rsplit('.').next().unwrap_or(key.name);
        strsim::osa_distance(name, key.name).min(strsim::osa_distance(name, last))
    };
    let nearest = keys.iter().min_by_key(distance).filter(|key| distance(key) <= DISTANCE_MAX);
    match nearest {
        Some(key) => format!("key {name} is not known: did you mean {}?", key.name),
        None => {
            let names: Vec<_> = keys.iter().map(|key| key.name).collect();
            format!("key {name} is not known: remove it; known are {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: Key = key("node-id");
    const LEASE: Key = key("timing.lease");
    const MEMBERS: Key = map("initial-members");
    const PEERS: Key = key("controllers");
    const KEYS: &[Key] = &[ID, LEASE, MEMBERS, PEERS];

    fn layers(file: &str, environment: &[(&str, &str)]) -> Result<Layers, Failure> {
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string()));
        Layers::of(Some(("c.toml".to_owned(), file.to_owned())), environment, KEYS)
    }

    #[test]
    fn the_environment_wins() {
        let file = "node-id = 1\ncontrollers = ['a:1']\n[timing]\nlease = '5s'\n[initial-members]\n1 = 'a:1'\n";
        let members = |layers: &Layers| layers.map(&MEMBERS).unwrap().unwrap();
        let plain = layers(file, &[]).unwrap();
        assert_eq!(plain.whole(&ID, 1, 9).unwrap(), Some(1));
        assert_eq!(plain.text(&LEASE).unwrap().as_deref(), Some("5s"));
        assert_eq!(plain.list(&PEERS).unwrap().unwrap(), ["a:1"]);
        assert_eq!(members(&plain), BTreeMap::from([("1".to_owned(), "a:1".to_owned())]));
        let over = [
            ("REPLISOME_NODE_ID", "2"),
            ("REPLISOME_TIMING_LEASE", "7s"),
            ("REPLISOME_INITIAL_MEMBERS", "1=a:1, 2=b:2,"),
            ("REPLISOME_CONTROLLERS", "a:1, b:2"),
        ];
        let over = layers(file, &over).unwrap();
        assert_eq!(over.whole(&ID, 1, 9).unwrap(), Some(2));
        assert_eq!(over.text(&LEASE).unwrap().as_deref(), Some("7s"));
        assert_eq!(over.list(&PEERS).unwrap().unwrap(), ["a:1", "b:2"]);
        assert_eq!(members(&over).len(), 2);
    }

    #[test]
    fn a_key_that_is_not_known_is_named_with_its_line_and_what_was_meant() {
        for (file, text) in [
            ("\nnode_id = 1\n", "c.toml:2: key node_id is not known: did you mean node-id?"),
            ("lease = '5s'\n", "c.toml:1: key lease is not known: did you mean timing.lease?"),
            ("[timing]\nlaese = '5s'\n", "c.toml:2: key timing.laese is not known: did you mean timing.lease?"),
            ("colour = 'red'\n", "c.toml:1: key colour is not known: remove it; known are node-id"),
            ("timing = 5\n", "c.toml:1: key timing is not known"),
        ] {
            let failure = layers(file, &[]).err().unwrap();
            assert!(failure.text.starts_with(text), "{failure}");
        }
    }

    #[test]
    fn what_is_no_toml_is_named_with_its_line() {
        for (file, place) in
            [("node-id = 1\nnode-id = 2\n", "c.toml:2: "), ("node-id = 1\nlease = 5 s\n", "c.toml:2: ")]
        {
            let failure = layers(file, &[]).err().unwrap();
            assert!(failure.text.starts_with(place), "{failure}");
        }
    }

    #[test]
    fn a_value_of_another_form_is_named_with_its_key() {
        let wrong = layers("node-id = '1'\ncontrollers = 'a:1'\n[timing]\nlease = 5\n", &[]).unwrap();
        let text = |failure: Option<Failure>| failure.unwrap().text;
        assert_eq!(
            text(wrong.whole(&ID, 1, 9).err()),
            "c.toml:1: key node-id: give a whole number from 1 to 9, not \"1\""
        );
        assert!(text(wrong.list(&PEERS).err()).starts_with("c.toml:2: key controllers: give a list"));
        assert!(text(wrong.text(&LEASE).err()).starts_with("c.toml:4: key timing.lease: give a text"));
        let wrong = layers("", &[("REPLISOME_NODE_ID", "0"), ("REPLISOME_INITIAL_MEMBERS", "a:1")]).unwrap();
        assert!(text(wrong.whole(&ID, 1, 9).err()).starts_with("REPLISOME_NODE_ID: give a whole number"));
        assert!(text(wrong.map(&MEMBERS).err()).starts_with("REPLISOME_INITIAL_MEMBERS: give a table"));
    }

    #[test]
    fn what_the_environment_lies_over_is_noted_and_checked_all_the_same() {
        let environment = [("REPLISOME_NODE_ID", "2"), ("REPLISOME_TIMING_LEASE", "7s")];
        let noted = layers("\nnode-id = 1\n", &environment).unwrap();
        assert_eq!(noted.notes, ["node-id is taken from REPLISOME_NODE_ID, not from c.toml:2"]);
        let wrong = layers("node-id = '1'\n[timing]\nlease = '5'\n", &environment).unwrap();
        assert_eq!(
            wrong.whole(&ID, 1, 9).unwrap_err().text,
            "c.toml:1: key node-id: give a whole number from 1 to 9, not \"1\""
        );
        let lease = wrong.parsed(&LEASE, crate::values::duration).unwrap_err();
        assert!(lease.text.starts_with("c.toml:3: key timing.lease: \"5\": give a number with a unit"), "{lease}");
    }

    #[test]
    fn a_variable_that_looks_like_a_slip_is_noted_and_others_are_left_alone() {
        let noted =
            layers("", &[("REPLISOME_NODEID", "1"), ("REPLISOME_CRASH_AT", "x"), ("REPLISOME_FULL", "1")]).unwrap();
        assert_eq!(noted.notes.len(), 1);
        assert!(noted.notes[0].contains("REPLISOME_NODEID") && noted.notes[0].contains("REPLISOME_NODE_ID"));
    }
}
