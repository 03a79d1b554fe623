//! Java's one-line login configuration, `Module required option="value" …;`, as Kafka's `JaasConfig` reads it.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

/// One login module and its options. No `Debug`: it holds secrets.
pub(super) struct Login {
    pub(super) module: String,
    pub(super) options: BTreeMap<String, String>,
}

/// Reads a login configuration. Errors never hold a part of it.
pub(super) fn parse(text: &str) -> Result<Login, &'static str> {
    let mut tokens = Tokens(text.chars().peekable());
    let module = tokens.word()?;
    if !matches!(tokens.word()?.to_ascii_lowercase().as_str(), "required" | "requisite" | "sufficient" | "optional") {
        return Err("a control flag such as \"required\" must follow the module's name");
    }
    let mut options = BTreeMap::new();
    while !tokens.ends()? {
        let name = tokens.word()?;
        if !tokens.takes('=') {
            return Err("each option must be written name=\"value\"");
        }
        options.insert(name, tokens.word()?);
    }
    tokens.skip_blanks();
    if tokens.0.next().is_some() {
        return Err("only one login module can be given");
    }
    Ok(Login { module, options })
}

struct Tokens<'a>(Peekable<Chars<'a>>);

impl Tokens<'_> {
    fn skip_blanks(&mut self) {
        while self.0.next_if(|c| c.is_whitespace()).is_some() {}
    }

    fn takes(&mut self, expected: char) -> bool {
        self.skip_blanks();
        self.0.next_if_eq(&expected).is_some()
    }

    /// Whether the semicolon that ends the options comes now.
    fn ends(&mut self) -> Result<bool, &'static str> {
        self.skip_blanks();
        match self.0.peek() {
            None => Err("it must end with a semicolon"),
            Some(_) => Ok(self.takes(';')),
        }
    }

    /// A bare word, or a quoted text with its escapes undone.
    fn word(&mut self) -> Result<String, &'static str> {
        self.skip_blanks();
        if let Some(quote) = self.0.next_if(|c| matches!(c, '"' | '\'')) {
            return self.quoted(quote);
        }
        let mut word = String::new();
        while let Some(c) = self.0.next_if(|c| !c.is_whitespace() && !matches!(c, ';' | '=' | '"' | '\'')) {
            word.push(c);
        }
        if word.is_empty() { Err("a name or a value is missing") } else { Ok(word) }
    }

    fn quoted(&mut self, quote: char) -> Result<String, &'static str> {
        let mut text = String::new();
        loop {
            match self.0.next() {
                None => return Err("a quotation mark is not closed"),
                Some(c) if c == quote => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some(c) => text.push(c),
            }
        }
    }

    /// The character that an escape stands for, as `java.io.StreamTokenizer` has it: C's, octal numbers included.
    fn escaped(&mut self) -> Result<char, &'static str> {
        let c = self.0.next().ok_or("a quotation mark is not closed")?;
        let Some(mut number) = c.to_digit(8) else {
            return Ok(match c {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{C}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{B}',
                other => other,
            });
        };
        // a third digit only below 0o400, so that the number fits a byte
        let digits_max = if number <= 3 { 2 } else { 1 };
        for _ in 0..digits_max {
            let Some(digit) = self.0.next_if(|c| c.is_digit(8)).and_then(|c| c.to_digit(8)) else { break };
            number = number * 8 + digit;
        }
        char::from_u32(number).ok_or("an escape stands for no character")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_and_its_options_are_read_with_quotes_and_escapes() {
        let cases = [
            (r#"a.B required username="u" password="p";"#, "u", "p"),
            ("a.B required\n username=u\n password=p ;\n", "u", "p"),
            (r#"a.B  REQUIRED password='say "hi"' username = "a;b=c" ;"#, "a;b=c", "say \"hi\""),
            (r#"a.B required username="" password="q\"\\\t\101\0601";"#, "", "q\"\\\tA01"),
            (r#"a.B required username="ü" password="${file:/x}";"#, "ü", "${file:/x}"),
        ];
        for (text, username, password) in cases {
            let login = parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            let found = (login.module.as_str(), login.options["username"].as_str(), login.options["password"].as_str());
            assert_eq!(found, ("a.B", username, password), "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        for (text, part) in [
            ("", "missing"),
            ("SECRET", "missing"),
            ("a.B SECRET x=\"y\";", "required"),
            ("a.B required password=\"SECRET", "not closed"),
            ("a.B required password=\"SECRET\"", "semicolon"),
            ("a.B required password \"SECRET\";", "name="),
            ("a.B required password=;", "missing"),
            ("a.B required; c.D required;", "only one"),
        ] {
            let error = parse(text).err().expect(text);
            assert!(error.contains(part) && !error.contains("SECRET"), "{text}: {error}");
        }
    }
}
