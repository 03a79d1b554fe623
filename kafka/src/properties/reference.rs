//! References to secrets, `${file:PATH}` and `${env:NAME}`: followed where the secret is used and no sooner, so that
//! only the reference is stored or sent.

/// The value with its references replaced. Values that hold none stay as they are.
///
/// # Errors
/// A text that names the reference and never what it leads to.
pub(super) fn follow(value: &str) -> Result<String, String> {
    let mut followed = String::with_capacity(value.len());
    let mut rest = value;
    while let Some((before, provider, name, after)) = next(rest) {
        followed.push_str(before);
        followed.push_str(&look_up(provider, name)?);
        rest = after;
    }
    followed.push_str(rest);
    Ok(followed)
}

/// Whether the value holds a reference.
pub(super) fn is_reference(value: &str) -> bool {
    next(value).is_some()
}

/// Whether the value begins with a reference, which then stands for all of it.
pub(super) fn is_whole(value: &str) -> bool {
    next(value.trim()).is_some_and(|(before, ..)| before.is_empty())
}

/// The first reference: what stands before it, its provider, its name, what stands after it.
fn next(value: &str) -> Option<(&str, &str, &str, &str)> {
    for (at, _) in value.match_indices("${") {
        let (before, body) = (&value[..at], &value[at + 2..]);
        if let Some((body, after)) = body.split_once('}')
            && let Some((provider, name)) = body.split_once(':')
            && !provider.is_empty()
            && provider.bytes().all(|byte| byte.is_ascii_alphanumeric())
        {
            return Some((before, provider, name, after));
        }
    }
    None
}

fn look_up(provider: &str, name: &str) -> Result<String, String> {
    match provider {
        "file" => std::fs::read_to_string(name)
            .map(|text| text.trim_end_matches(['\n', '\r']).to_owned())
            .map_err(|error| format!("could not read the file of ${{file:{name}}}: {error}")),
        "env" => std::env::var(name)
            .map_err(|_| format!("the environment variable of ${{env:{name}}} is not set (or not UTF-8)")),
        _ => Err(format!("there is no provider {provider:?}: only ${{file:PATH}} and ${{env:NAME}} are known")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_replaced_wherever_they_stand() {
        let package = env!("CARGO_PKG_NAME");
        let own = concat!(env!("CARGO_MANIFEST_DIR"), "/src/properties/reference.rs");
        for (value, expected) in [
            ("plain", "plain".to_owned()),
            ("a${b", "a${b".to_owned()),
            ("${} $ { ${:x}", "${} $ { ${:x}".to_owned()),
            ("${env:CARGO_PKG_NAME}", package.to_owned()),
            ("<${env:CARGO_PKG_NAME}|${env:CARGO_PKG_NAME}>", format!("<{package}|{package}>")),
        ] {
            assert_eq!(follow(value).as_ref(), Ok(&expected), "{value}");
        }
        assert!(follow(&format!("${{file:{own}}}")).unwrap().ends_with('}'), "the last line break is dropped");
    }

    #[test]
    fn a_reference_that_leads_nowhere_is_named() {
        for (value, part) in [
            ("${env:REPLISOME_NOT_SET}", "REPLISOME_NOT_SET"),
            ("${file:/not/there}", "/not/there"),
            ("${vault:a:b}", "vault"),
        ] {
            assert!(follow(value).unwrap_err().contains(part), "{value}");
        }
    }
}
