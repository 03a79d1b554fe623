use super::*;

const CANARY: &str = "c4nary";
const PLAIN: &str = "org.apache.kafka.common.security.plain.PlainLoginModule";
const SCRAM: &str = "org.apache.kafka.common.security.scram.ScramLoginModule";

type Pair<'a> = (&'a str, &'a str);
type Pairs<'a> = &'a [Pair<'a>];

fn cluster(pairs: Pairs<'_>) -> ClusterConfig {
    let name = common::ids::ClusterName::new("east").unwrap();
    let mut properties: ClientProperties = pairs.iter().copied().collect();
    properties.0.entry("bootstrap.servers".to_owned()).or_insert_with(|| "b:9092".to_owned());
    ClusterConfig { name, properties }
}

/// What is made of the pairs, besides the server's address and the protocol.
fn made(role: Role, pairs: Pairs<'_>) -> Result<BTreeMap<String, String>, String> {
    let mut config = client_config(&cluster(pairs), role).map_err(|error| error.text)?;
    config.retain(|key, value| key != "bootstrap.servers" && !(key == "security.protocol" && value == "plaintext"));
    Ok(config)
}

fn map(pairs: Pairs<'_>) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn names_of_java_become_librdkafkas() {
    let cases: &[(Role, Pair<'_>, Pairs<'_>)] = &[
        (Role::Consumer, ("fetch.max.wait.ms", " 100 "), &[("fetch.wait.max.ms", "100")]),
        (Role::Consumer, ("fetch.max.bytes", "2147483647"), &[("fetch.max.bytes", "2147483135")]),
        (Role::Consumer, ("receive.buffer.bytes", "-1"), &[("socket.receive.buffer.bytes", "0")]),
        (Role::Consumer, ("client.rack", "a"), &[("client.rack", "a")]),
        (Role::Consumer, ("isolation.level", "read_committed"), &[]),
        (Role::Consumer, ("group.id", "g"), &[]),
        (Role::Consumer, ("auto.offset.reset", "earliest"), &[]),
        (Role::Consumer, ("linger.ms", "5"), &[]),
        (Role::Consumer, ("interceptor.classes", ""), &[]),
        (Role::Producer, ("linger.ms", "5"), &[("linger.ms", "5")]),
        (Role::Producer, ("queue.buffering.max.ms", "5"), &[("linger.ms", "5")]),
        (Role::Producer, ("batch.size", "0"), &[("batch.size", "1")]),
        (Role::Producer, ("compression.type", "ZSTD"), &[("compression.type", "zstd")]),
        (Role::Producer, ("acks", "1"), &[]),
        (Role::Producer, ("key.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer"), &[]),
        (Role::Admin, ("request.timeout.ms", "600000"), &[("socket.timeout.ms", "300000")]),
        (Role::Admin, ("connections.max.idle.ms", "-1"), &[("connections.max.idle.ms", "0")]),
        (Role::Admin, ("security.protocol", "SSL"), &[("security.protocol", "ssl")]),
    ];
    for (role, pair, expected) in cases {
        assert_eq!(made(*role, &[*pair]), Ok(map(expected)), "{role:?} {pair:?}");
    }
}

#[test]
fn what_is_ignored_is_noted_for_its_own_role_unless_it_changes_nothing() {
    let notes = |role, pair| translate(&cluster(&[pair]), role).unwrap().notes;
    for (role, pair, expected) in [
        (Role::Producer, ("acks", "0"), Some("acks")),
        (Role::Producer, ("acks", "all"), None),
        (Role::Consumer, ("acks", "0"), None),
        (Role::Producer, ("retries", "0"), Some("acknowledged or refused")),
        (Role::Producer, ("enable.idempotence", "false"), Some("idempotently")),
        (Role::Consumer, ("session.timeout.ms", "1"), Some("membership")),
        (Role::Consumer, ("enable.auto.commit", "false"), None),
        (Role::Consumer, ("enable.auto.commit", "true"), Some("commit interval")),
        (Role::Admin, ("sasl.mechanism", "PLAIN"), Some("unless security.protocol is SASL")),
        (Role::Admin, ("ssl.ca.location", "x"), Some("unless security.protocol is SSL")),
    ] {
        let notes = notes(role, pair);
        assert_eq!(notes.len(), usize::from(expected.is_some()), "{role:?} {pair:?}: {notes:?}");
        assert!(expected.is_none_or(|part| notes[0].contains(part)), "{notes:?}");
    }
}

#[test]
fn what_would_change_the_result_or_run_code_is_refused_by_name_with_the_remedy() {
    for (key, value, part) in [
        ("isolation.level", "read_uncommitted", "isolation.level=read_uncommitted: records of aborted"),
        ("key.deserializer", "org.apache.kafka.common.serialization.StringDeserializer", "byte for byte"),
        ("partitioner.class", "x.Y", "keeps its partition number"),
        ("interceptor.classes", "x.Y", "Java classes"),
        ("exclude.internal.topics", "false", "never copied"),
        ("zookeeper.connect", "z:2181", "bootstrap.servers"),
        ("zookeeper.session.timeout.ms", "1", "bootstrap.servers"),
        ("transactional.id", "t", "transactions"),
        ("auto.offset.reset", "sometimes", "must be one of earliest"),
        ("linger.ms", "soon", "linger.ms=soon: must be a whole number"),
        ("check.crcs", "yes", "true, false"),
        ("plugin.library.paths", "/x.so", "load code"),
        ("sasl.kerberos.kinit.cmd", "rm", "load code"),
        ("ssl.engine.location", "/x.so", "load code"),
        ("ssl.providers", "legacy", "load code"),
        ("sasl.oauthbearer.token.endpoint.url", "http://x", "OAUTHBEARER"),
        ("sasl.kerberos.service.name", "kafka", "Kerberos"),
        ("queue.buffering.max.kbytes", "1", "chosen by the copier"),
        ("bootstrap.server", "b:1", "did you mean bootstrap.servers?"),
        ("no.such.thing", "x", "\"no.such.thing\" is not one of"),
        ("security.protocol", "TLS", "security.protocol=TLS: must be one of PLAINTEXT"),
        ("bootstrap.servers", " ", "bootstrap.servers is missing"),
    ] {
        for role in [Role::Consumer, Role::Producer, Role::Admin] {
            let error = client_config(&cluster(&[(key, value)]), role).expect_err(key);
            assert_eq!(error.kind, ErrorKind::Config);
            assert!(error.text.starts_with("cluster east: ") && error.text.contains(part), "{}", error.text);
        }
    }
    let twice = made(Role::Producer, &[("linger.ms", "1"), ("queue.buffering.max.ms", "2")]).unwrap_err();
    assert!(twice.contains("linger.ms and queue.buffering.max.ms"), "{twice}");
}

#[test]
fn a_login_is_taken_from_java_or_librdkafka() {
    let (plain, scram) = (
        format!("{PLAIN} required username=\"u\" password=\"p;\\\"\";"),
        format!("{SCRAM} required username=u password=\"${{env:CARGO_PKG_NAME}}\";"),
    );
    let cases: &[(Pairs<'_>, (&str, &str, &str))] = &[
        (&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &plain)], ("PLAIN", "u", "p;\"")),
        (
            &[("sasl.mechanism", "SCRAM-SHA-512"), ("sasl.jaas.config", &scram)],
            ("SCRAM-SHA-512", "u", "replisome-kafka"),
        ),
        (&[("sasl.mechanisms", "plain"), ("sasl.username", "u"), ("sasl.password", " p ")], ("PLAIN", "u", " p ")),
    ];
    for (pairs, (mechanism, username, password)) in cases {
        let mut pairs = pairs.to_vec();
        pairs.push(("security.protocol", "SASL_PLAINTEXT"));
        let expected = [
            ("sasl.mechanisms", *mechanism),
            ("sasl.password", password),
            ("sasl.username", username),
            ("security.protocol", "sasl_plaintext"),
        ];
        assert_eq!(made(Role::Admin, &pairs), Ok(map(&expected)), "{pairs:?}");
    }
}

#[test]
fn an_impossible_login_is_refused_without_its_secret() {
    let jaas = |module: &str, options: &str| format!("{module} required {options} password=\"{CANARY}\";");
    let (good, tokens) = (jaas(PLAIN, "username=u"), jaas(SCRAM, "username=u tokenauth=true"));
    let jndi = jaas("com.sun.security.auth.module.JndiLoginModule", "username=u");
    let (nameless, misplaced) = (jaas(PLAIN, ""), format!("{CANARY} required username=u password=p;"));
    let cases: &[(Pairs<'_>, &str)] = &[
        (&[("sasl.jaas.config", &good)], "sasl.mechanism is missing"),
        (&[("sasl.mechanism", "GSSAPI")], "GSSAPI is not supported"),
        (&[("sasl.mechanism", "OAUTHBEARER")], "OAUTHBEARER is not supported"),
        (&[("sasl.mechanism", CANARY)], "it is not supported"),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.mechanisms", "SCRAM-SHA-256")], "differ"),
        (&[("sasl.mechanism", "PLAIN")], "sasl.username is missing"),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.username", "u")], "sasl.password is missing"),
        (
            &[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &jndi)],
            "JndiLoginModule is not the login module of PLAIN",
        ),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &misplaced)], "what is given is not"),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &nameless)], "username is missing"),
        (&[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", &good)], "login module of SCRAM-SHA-256"),
        (&[("sasl.mechanism", "SCRAM-SHA-256"), ("sasl.jaas.config", &tokens)], "tokenauth"),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", &good), ("sasl.password", CANARY)], "keep one"),
        (&[("sasl.mechanism", "PLAIN"), ("sasl.jaas.config", CANARY)], "missing"),
    ];
    for (pairs, part) in cases {
        let mut pairs = pairs.to_vec();
        pairs.push(("security.protocol", "SASL_SSL"));
        let error = made(Role::Consumer, &pairs).expect_err(part);
        assert!(error.contains(part) && !error.contains(CANARY), "{pairs:?}: {error}");
    }
}

#[test]
fn stores_of_certificates_become_what_librdkafka_reads() {
    let cases: &[(Pairs<'_>, Result<Pairs<'_>, &str>)] = &[
        (&[("ssl.truststore.location", "ca.pem")], Ok(&[("ssl.ca.location", "ca.pem")])),
        (&[("ssl.truststore.location", "x"), ("ssl.truststore.type", "pem")], Ok(&[("ssl.ca.location", "x")])),
        (&[("ssl.truststore.location", "t.jks"), ("ssl.truststore.password", CANARY)], Err("keytool -list -rfc")),
        (&[("ssl.truststore.location", "t.p12"), ("ssl.truststore.type", "PKCS12")], Err("t.p12: only PEM")),
        (&[("ssl.truststore.certificates", "C")], Ok(&[("ssl.ca.pem", "C")])),
        (
            &[("ssl.keystore.location", "k.p12"), ("ssl.keystore.password", " x")],
            Ok(&[("ssl.keystore.location", "k.p12"), ("ssl.keystore.password", " x")]),
        ),
        (&[("ssl.keystore.location", "k.jks")], Err("ssl.keystore.type")),
        (&[("ssl.keystore.location", "k.jks"), ("ssl.keystore.type", "JKS")], Err("-importkeystore")),
        (
            &[("ssl.keystore.location", "k"), ("ssl.keystore.type", "PEM"), ("ssl.key.password", "x")],
            Ok(&[("ssl.certificate.location", "k"), ("ssl.key.location", "k"), ("ssl.key.password", "x")]),
        ),
        (
            &[("ssl.keystore.key", "K"), ("ssl.keystore.certificate.chain", "C")],
            Ok(&[("ssl.key.pem", "K"), ("ssl.certificate.pem", "C")]),
        ),
        (&[("ssl.endpoint.identification.algorithm", "")], Ok(&[("ssl.endpoint.identification.algorithm", "none")])),
        (&[("ssl.endpoint.identification.algorithm", "ldaps")], Err("ldaps: must be https")),
        (&[("ssl.enabled.protocols", "TLSv1.2,TLSv1.3"), ("ssl.protocol", "TLSv1.3")], Ok(&[])),
        (&[("ssl.enabled.protocols", "TLSv1.3")], Err("cannot be switched off")),
        (&[("ssl.enabled.protocols", "TLSv1")], Err("TLSv1: TLSv1.2 and TLSv1.3 are spoken")),
    ];
    for (pairs, expected) in cases {
        let mut pairs = pairs.to_vec();
        pairs.push(("security.protocol", "ssl"));
        match (made(Role::Producer, &pairs), expected) {
            (Ok(mut made), Ok(expected)) => {
                made.remove("security.protocol");
                assert_eq!(made, map(expected), "{pairs:?}");
            }
            (Err(error), Err(part)) => assert!(error.contains(part) && !error.contains(CANARY), "{pairs:?}: {error}"),
            (made, expected) => panic!("{pairs:?}: {made:?} instead of {expected:?}"),
        }
    }
}

#[test]
fn no_value_that_may_be_a_secret_is_ever_shown() {
    let private = ["sasl.password", "ssl.key.password", "ssl.keystore.password", "sasl.username", "ssl.key.pem"];
    let jaas = format!("{PLAIN} required username=\"u\" password=\"{CANARY}\"");
    for role in [Role::Consumer, Role::Producer, Role::Admin] {
        let mut errors = Vec::new();
        for key in table::names().chain(["unknown", "sasl.pasword", "plugin.library.paths", "sasl.oauthbearer.x"]) {
            let is_private = private.contains(&key) || !table::may_be_shown(key);
            let value = if is_private { CANARY } else { "${env:CANARY_NOT_SET}" };
            for protocol in ["SSL", "SASL_SSL", "PLAINTEXT"] {
                let mut pairs = vec![("security.protocol", protocol), ("sasl.jaas.config", jaas.as_str())];
                pairs.push((key, value));
                match translate(&cluster(&pairs), role) {
                    Ok(translated) => errors.push(format!("{translated:?}")),
                    Err(error) => errors.push(format!("{error} {error:?}")),
                }
            }
        }
        assert!(errors.len() > 100 && errors.iter().all(|error| !error.contains(CANARY)), "{errors:#?}");
    }
}

#[test]
fn the_table_of_a_fleet_takes_references_and_no_secrets() {
    let (literal, reference) = (
        format!("{PLAIN} required username=u password={CANARY};"),
        format!("{PLAIN} required username=u password=\"${{file:/nowhere}}\";"),
    );
    let login = [("security.protocol", "SASL_SSL"), ("sasl.mechanism", "PLAIN")];
    let cases: &[(Pairs<'_>, bool)] = &[
        (&[("sasl.jaas.config", &literal)], false),
        (&[("sasl.jaas.config", &reference)], true),
        (&[("sasl.jaas.config", "${file:/nowhere}")], true),
        (&[("sasl.username", "u"), ("sasl.password", CANARY)], false),
        (&[("sasl.username", "u"), ("sasl.password", "${env:NOWHERE}")], true),
        (&[("sasl.username", "u"), ("sasl.password", "${env:NOWHERE}"), ("ssl.key.pem", CANARY)], false),
    ];
    for (pairs, is_fine) in cases {
        let pairs: Vec<_> = login.iter().chain(*pairs).copied().collect();
        match check_for_table(&cluster(&pairs).properties) {
            Ok(()) => assert!(is_fine, "{pairs:?}"),
            Err(error) => assert!(!is_fine && error.text.contains("${file:PATH}"), "{pairs:?}: {error}"),
        }
    }
}

/// The C library knows every name that the table lets through, and takes the bounds that it sets.
#[cfg(feature = "librdkafka")]
#[test]
fn librdkafka_knows_every_name_that_is_passed() {
    for (name, values) in table::passed() {
        for value in values {
            let config = rdkafka::ClientConfig::new().set(name, &value).create_native_config();
            assert!(config.is_ok(), "{name}={value}: {:?}", config.err());
        }
    }
}

#[test]
fn the_reference_names_every_property_of_the_table() {
    let reference = include_str!("../../../docs/reference/properties.md");
    let unnamed: Vec<_> = table::all_names().filter(|name| !reference.contains(&format!("`{name}`"))).collect();
    assert_eq!(unnamed, Vec::<&str>::new(), "missing in docs/reference/properties.md");
}
