//! Properties that only make sense together: the protocol, who we are (SASL), who the brokers are (TLS).

use super::{Given, Translated, jaas, reference, shown};

const PLAIN_MODULE: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM_MODULE: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

/// Adds what the properties of TLS and SASL say.
pub(super) fn translate(given: &Given<'_>, translated: &mut Translated) -> Result<(), String> {
    let protocol = given.value("security.protocol")?.unwrap_or_else(|| "plaintext".to_owned()).trim().to_lowercase();
    if !["plaintext", "ssl", "sasl_plaintext", "sasl_ssl"].contains(&protocol.as_str()) {
        let raw = given.raw("security.protocol").unwrap_or_default();
        let shown = shown("security.protocol", raw);
        return Err(format!("property {shown}: must be one of PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL"));
    }
    let mut out = Out { given, translated };
    if protocol.starts_with("sasl") {
        out.login()?;
    } else {
        out.note_unused("sasl.", "SASL_SSL or SASL_PLAINTEXT");
    }
    if protocol.ends_with("ssl") {
        out.trust()?;
        out.certificate()?;
        out.tls_rules()?;
    } else {
        out.note_unused("ssl.", "SSL or SASL_SSL");
    }
    out.set("security.protocol", protocol);
    Ok(())
}

struct Out<'a> {
    given: &'a Given<'a>,
    translated: &'a mut Translated,
}

impl Out<'_> {
    fn set(&mut self, name: &str, value: impl Into<String>) {
        self.translated.config.insert(name.to_owned(), value.into());
    }

    /// Passes a property on under another name, if it is given. Secrets keep their blanks.
    fn pass(&mut self, key: &str, name: &str) -> Result<(), String> {
        if let Some(value) = self.given.value(key)? {
            let is_secret = super::table::is_password(key);
            self.set(name, if is_secret { value } else { value.trim().to_owned() });
        }
        Ok(())
    }

    /// Notes that properties have no effect under the protocol: else a forgotten one would go unnoticed.
    fn note_unused(&mut self, prefix: &str, protocols: &str) {
        let unused = self.given.properties.0.keys().filter(|key| key.starts_with(prefix));
        let unused: Vec<&str> = unused.map(String::as_str).collect();
        if !unused.is_empty() {
            let names = unused.join(", ");
            self.translated.notes.push(format!("{names}: without effect unless security.protocol is {protocols}"));
        }
    }

    /// The mechanism, user name and password.
    fn login(&mut self) -> Result<(), String> {
        let mechanism = match (self.given.value("sasl.mechanism")?, self.given.value("sasl.mechanisms")?) {
            (Some(java), Some(own)) if java.trim() != own.trim() => {
                return Err("properties sasl.mechanism and sasl.mechanisms differ: keep one of them".to_owned());
            }
            (Some(one), _) | (None, Some(one)) => one.trim().to_uppercase(),
            (None, None) => {
                let default = "the default, GSSAPI (Kerberos), is not in this build";
                return Err(format!("property sasl.mechanism is missing: {default}; set PLAIN or SCRAM-SHA-512"));
            }
        };
        let module = match mechanism.as_str() {
            "PLAIN" => PLAIN_MODULE,
            "SCRAM-SHA-256" | "SCRAM-SHA-512" => SCRAM_MODULE,
            _ => {
                let known = "this build has PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512";
                let name = ["GSSAPI", "OAUTHBEARER"].into_iter().find(|name| *name == mechanism);
                return Err(format!("property sasl.mechanism: {} is not supported: {known}", name.unwrap_or("it")));
            }
        };
        if let Some(text) = self.given.raw("sasl.jaas.config") {
            self.jaas(text, module, &mechanism)?;
        }
        for key in ["sasl.username", "sasl.password"] {
            match self.given.value(key)? {
                Some(_) if self.given.raw("sasl.jaas.config").is_some() => {
                    return Err(format!("properties sasl.jaas.config and {key} say the same: keep one of them"));
                }
                Some(value) => self.set(key, value),
                None if self.translated.config.contains_key(key) => {}
                None => return Err(format!("property {key} is missing: {mechanism} logs in by name and password")),
            }
        }
        self.set("sasl.mechanisms", mechanism);
        Ok(())
    }

    fn jaas(&mut self, text: &str, module: &str, mechanism: &str) -> Result<(), String> {
        let wrong = |why: &str| format!("property sasl.jaas.config: {why}");
        let followed;
        let text = if reference::is_whole(text) {
            followed = self.given.follow("sasl.jaas.config", text)?;
            if reference::is_whole(&followed) {
                // only checked, not followed: what it leads to is found out where it is used
                self.set("sasl.username", "");
                self.set("sasl.password", "");
                return Ok(());
            }
            &followed
        } else {
            text
        };
        let login = jaas::parse(text).map_err(wrong)?;
        if login.module != module {
            // a text in the place of the module's name that looks like no class may be a misplaced secret
            let is_class = login.module.ends_with("LoginModule") && !login.module.contains(char::is_whitespace);
            let named = if is_class { login.module.as_str() } else { "what is given" };
            return Err(wrong(&format!("{named} is not the login module of {mechanism}, which is {module}")));
        }
        if login.options.get("tokenauth").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Err(wrong("delegation tokens (tokenauth) are not supported: use a name and a password"));
        }
        for option in ["username", "password"] {
            let raw = login.options.get(option).ok_or_else(|| wrong(&format!("the option {option} is missing")))?;
            let value = self.given.follow("sasl.jaas.config", raw)?;
            self.set(&format!("sasl.{option}"), value);
        }
        Ok(())
    }

    /// Which authorities vouch for the brokers.
    fn trust(&mut self) -> Result<(), String> {
        self.pass("ssl.ca.location", "ssl.ca.location")?;
        self.pass("ssl.ca.pem", "ssl.ca.pem")?;
        self.pass("ssl.truststore.certificates", "ssl.ca.pem")?;
        let Some(location) = self.given.value("ssl.truststore.location")? else { return Ok(()) };
        let location = location.trim();
        let kind = self.given.value("ssl.truststore.type")?.map(|kind| kind.trim().to_uppercase());
        let is_pem = kind.as_deref() == Some("PEM") || kind.is_none() && has_ending(location, &["pem", "crt", "cer"]);
        if !is_pem {
            let shown = shown("ssl.truststore.location", self.given.raw("ssl.truststore.location").unwrap_or_default());
            let remedy = "make one with: keytool -list -rfc -keystore FILE > ca.pem; then set ssl.ca.location=ca.pem";
            return Err(format!("property {shown}: only PEM files of certificates can be read: {remedy}"));
        }
        if self.given.raw("ssl.truststore.password").is_some() {
            self.translated.notes.push("property ssl.truststore.password is ignored: PEM files have none".to_owned());
        }
        self.set("ssl.ca.location", location);
        Ok(())
    }

    /// Our own certificate and its key.
    fn certificate(&mut self) -> Result<(), String> {
        for key in
            ["ssl.certificate.location", "ssl.certificate.pem", "ssl.key.location", "ssl.key.pem", "ssl.key.password"]
        {
            self.pass(key, key)?;
        }
        self.pass("ssl.keystore.certificate.chain", "ssl.certificate.pem")?;
        self.pass("ssl.keystore.key", "ssl.key.pem")?;
        let Some(location) = self.given.value("ssl.keystore.location")? else { return Ok(()) };
        let location = location.trim();
        let kind = self.given.value("ssl.keystore.type")?.map(|kind| kind.trim().to_uppercase());
        match kind.as_deref() {
            Some("PEM") => {
                self.set("ssl.certificate.location", location);
                self.set("ssl.key.location", location);
            }
            None if has_ending(location, &["pem", "jks"]) => {
                let shown = shown("ssl.keystore.location", self.given.raw("ssl.keystore.location").unwrap_or_default());
                return Err(format!("property {shown}: say in ssl.keystore.type what it is: PKCS12 or PEM"));
            }
            Some("PKCS12") | None => {
                self.set("ssl.keystore.location", location);
                self.pass("ssl.keystore.password", "ssl.keystore.password")?;
            }
            Some(_) => {
                let shown = shown("ssl.keystore.type", self.given.raw("ssl.keystore.type").unwrap_or_default());
                let remedy = "keytool -importkeystore -srckeystore FILE -destkeystore key.p12 -deststoretype PKCS12";
                return Err(format!("property {shown}: must be PKCS12 or PEM; convert it with: {remedy}"));
            }
        }
        Ok(())
    }

    /// How strict the handshake is.
    fn tls_rules(&mut self) -> Result<(), String> {
        if let Some(raw) = self.given.properties.0.get("ssl.endpoint.identification.algorithm") {
            let value = self.given.follow("ssl.endpoint.identification.algorithm", raw)?.trim().to_lowercase();
            match value.as_str() {
                // Java switches the check off with an empty value
                "" | "none" => self.set("ssl.endpoint.identification.algorithm", "none"),
                "https" => self.set("ssl.endpoint.identification.algorithm", "https"),
                _ => {
                    let shown = shown("ssl.endpoint.identification.algorithm", raw);
                    return Err(format!("property {shown}: must be https, or empty for no check of the host name"));
                }
            }
        }
        for key in ["ssl.enabled.protocols", "ssl.protocol"] {
            let Some(value) = self.given.value(key)? else { continue };
            let versions: Vec<&str> = value.split(',').map(str::trim).collect();
            if versions.iter().any(|version| !["TLS", "TLSv1.2", "TLSv1.3"].contains(version)) {
                let shown = shown(key, self.given.raw(key).unwrap_or_default());
                return Err(format!("property {shown}: TLSv1.2 and TLSv1.3 are spoken, the newer first: remove it"));
            }
            if key == "ssl.enabled.protocols" && !versions.contains(&"TLSv1.2") {
                let shown = shown(key, self.given.raw(key).unwrap_or_default());
                return Err(format!("property {shown}: TLSv1.2 cannot be switched off here; do so on the brokers"));
            }
            self.translated.notes.push(format!("property {key} is ignored: TLSv1.3 is spoken, else TLSv1.2"));
        }
        Ok(())
    }
}

fn has_ending(path: &str, endings: &[&str]) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending.to_lowercase());
    ending.is_some_and(|ending| endings.contains(&ending.as_str()))
}
