//! Compiles the protocol files with a compiler written in Rust, so no `protoc` is needed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let proto = "../../proto";
    println!("cargo:rerun-if-changed={proto}");
    let files = protox::compile(["cronapi/v1/log.proto", "cronapi/v1/cluster.proto"], [proto])?;
    tonic_prost_build::configure().bytes(".").compile_fds(files)?;
    Ok(())
}
