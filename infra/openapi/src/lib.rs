//! The OpenAPI 3.1 document, out of the types that the functions use (`shared::api`).

mod document;

pub use document::document;

#[cfg(test)]
mod tests;
