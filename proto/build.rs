//! Compiles the wire's definition. In Rust alone, so that building needs no protoc.

use prost::Message;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let names = ["types", "placement", "admin", "fleet", "raft"].map(|name| format!("replisome/v1/{name}.proto"));
    let descriptors = protox::compile(names, ["proto"])?;
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    // What the reflection service shows.
    std::fs::write(out.join("replisome.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().codec_path("crate::codec::SmallBuffers").compile_fds(descriptors)?;
    Ok(())
}
