#![no_main]

#[path = "../src/door.rs"]
mod door;

libfuzzer_sys::fuzz_target!(|data: &[u8]| door::check(data));
