//! Writes the Kotlin, Swift and Python bindings from a built library; called by `tests/foreign/generate.sh`.
//! It owns nothing: the generator is UniFFI's, pinned to the version that the library was built with.

fn main() {
    uniffi::uniffi_bindgen_main();
}
