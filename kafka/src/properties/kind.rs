//! What the value of a property must look like, and how librdkafka writes it.

/// What a value must look like, and how it is written for librdkafka.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    /// Anything.
    Text,
    /// A whole number. One beyond these bounds of librdkafka becomes the nearest that it takes.
    Within(u64, u64),
    /// As `Within` from 0; Java writes -1 where librdkafka has 0, for none or the system's own.
    UpTo(u64),
    /// true or false.
    Switch,
    /// One of these.
    OneOf(&'static [&'static str]),
}

impl Kind {
    /// The value as librdkafka writes it, or what it should have been.
    pub(super) fn check(self, value: &str) -> Result<String, String> {
        match (self, value) {
            (Self::Text, _) => Ok(value.to_owned()),
            (Self::UpTo(_), "-1") => Ok("0".to_owned()),
            (Self::UpTo(max), _) => Self::Within(0, max).check(value),
            (Self::Within(min, max), _) => match value.parse::<u64>() {
                Ok(number) => Ok(number.clamp(min, max).to_string()),
                Err(_) => Err("must be a whole number".to_owned()),
            },
            (Self::Switch, _) => Self::OneOf(&["true", "false"]).check(value),
            (Self::OneOf(values), _) => {
                let found = values.iter().find(|one| one.eq_ignore_ascii_case(value));
                found.map(|one| (*one).to_owned()).ok_or_else(|| format!("must be one of {}", values.join(", ")))
            }
        }
    }
}
