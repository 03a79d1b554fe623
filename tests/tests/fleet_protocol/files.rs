//! What a node's file and flags can say wrongly: each is refused at once, by its name, before anything is touched.

use std::net::TcpListener;

use replisome_tests::child::Exit;
use replisome_tests::fleet::{Output, run_cli};
use replisome_tests::ports;
use replisome_tests::process::Replisome;
use replisome_tests::scratch::Scratch;

const FAILED: i32 = 1;
const USAGE: i32 = 2;

fn controller_file(scratch: &Scratch, listen: &str) -> String {
    let data = scratch.path().join("data");
    format!(
        "node-id = 1\ndata-dir = {data:?}\nlisten = \"{listen}\"\nadvertise = \"{listen}\"\n\
         initial-members = {{ \"1\" = \"{listen}\" }}\n"
    )
}

fn run(noun: &str, scratch: &Scratch, text: &str) -> Output {
    let file = scratch.write("config.toml", text).display().to_string();
    let output = run_cli(&[noun, "run", "--config", &file], &[]);
    eprintln!("{} {}", output.code, output.stderr.trim_end());
    output
}

#[test]
fn a_wrong_file_is_refused_with_the_keys_name_and_code_2() {
    let scratch = Scratch::new("files");
    let listen = format!("127.0.0.1:{}", ports::free());
    let good = controller_file(&scratch, &listen);
    let worker = "id = \"w1\"\ncontrollers = [\"127.0.0.1:7401\"]\n";
    let wrong = [
        ("controller", format!("{good}nodeid = 2\n"), vec!["nodeid", "config.toml"]),
        ("worker", format!("{worker}controler = \"x\"\n"), vec!["controler", "config.toml"]),
        ("controller", format!("{good}[timing]\nheartbeet = \"1s\"\n"), vec!["heartbeet"]),
        ("controller", format!("{good}[timing]\nlease = \"soon\"\n"), vec!["lease", "soon"]),
        ("controller", good.replace("node-id = 1\n", ""), vec!["node-id"]),
        ("controller", good.replace("node-id = 1\n", "node-id = 7\n"), vec!["node-id", "7", "initial-members"]),
        ("worker", "id = \"w1\"\n".to_owned(), vec!["controllers"]),
        ("worker", "id = \"w 1\"\ncontrollers = [\"127.0.0.1:7401\"]\n".to_owned(), vec!["id", "w 1"]),
        ("worker", format!("{worker}memory = \"much\"\n"), vec!["memory", "much"]),
        ("worker", "id = \"w1\"\ncontrollers = [\n".to_owned(), vec!["config.toml:2", "TOML"]),
    ];
    for (noun, text, names) in wrong {
        run(noun, &scratch, &text).expect(USAGE, &names);
    }
    assert!(!scratch.path().join("data").exists(), "a refused controller leaves nothing behind");
    let missing = run_cli(&["worker", "run", "--config", "no-such-file.toml"], &[]);
    missing.expect(USAGE, &["no-such-file.toml"]);
}

#[test]
fn listening_off_loopback_without_tls_needs_a_word() {
    let scratch = Scratch::new("files");
    let text = controller_file(&scratch, &format!("0.0.0.0:{}", ports::free()));
    run("controller", &scratch, &text).expect(USAGE, &["listen", "--insecure", "0.0.0.0"]);
}

#[test]
fn a_port_in_use_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("bound").to_string();
    let scratch = Scratch::new("files");
    run("controller", &scratch, &controller_file(&scratch, &taken)).expect(FAILED, &["listen", &taken, "in use"]);
    let http =
        format!("{}http-listen = \"{taken}\"\n", controller_file(&scratch, &format!("127.0.0.1:{}", ports::free())));
    run("controller", &scratch, &http).expect(FAILED, &["http-listen", &taken, "in use"]);
    let worker = format!("id = \"w1\"\ncontrollers = [\"127.0.0.1:{}\"]\nhttp-listen = \"{taken}\"\n", ports::free());
    run("worker", &scratch, &worker).expect(FAILED, &["http-listen", &taken, "in use"]);
}

#[test]
fn a_data_directory_of_another_node_is_refused() {
    let scratch = Scratch::new("files");
    let listen = format!("127.0.0.1:{}", ports::free());
    let file = scratch.write("first.toml", &controller_file(&scratch, &listen)).display().to_string();
    let mut first = Replisome::start(["controller", "run", "--config", &file]);
    let text = scratch.path().join("data");
    replisome_tests::wait::until_true("the data directory is there", replisome_tests::fleet::PATIENCE, || {
        assert_eq!(first.try_wait(), None::<Exit>, "{}", first.tail());
        std::fs::read_dir(&text).is_ok_and(|mut entries| entries.next().is_some())
    });
    let second = controller_file(&scratch, &format!("127.0.0.1:{}", ports::free()));
    let locked = run("controller", &scratch, &second);
    locked.expect(FAILED, &["data"]);
    first.kill();
    let other = controller_file(&scratch, &listen).replace("node-id = 1", "node-id = 2").replace("\"1\" =", "\"2\" =");
    run("controller", &scratch, &other).expect(FAILED, &["data", "node"]);
}
