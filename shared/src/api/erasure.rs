//! Erasing a customer.

use serde::Serialize;

use crate::flows::erasure::Erased;

/// What was erased, so far or in all.
#[derive(Debug, Serialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Erasure {
    /// Whether nothing is left.
    pub done: bool,
    /// What this call erased.
    pub erased: Erased,
    /// What `cursor` takes to go on; null if nothing is left.
    pub next_cursor: Option<String>,
}

/// A cursor: a number, and a position behind a dot.
#[cfg(feature = "openapi")]
#[derive(schemars::JsonSchema)]
#[schemars(transparent, extend("pattern" = r"^[0-9]{1,64}\..*$"))]
struct ErasureCursor(#[expect(dead_code, reason = "only described")] String);

/// What this file describes.
#[cfg(feature = "openapi")]
pub(super) fn operations() -> Vec<super::describe::Operation> {
    use super::describe::Operation;
    use crate::domain::ids::PhoneNumberId;
    let path = "/api/whatsapp/conversations/{botId}/{customer}";
    let erase = Operation::new("delete", path, "eraseCustomer", "Erases what is kept of a customer")
        .of_a_bot()
        .path::<String>(
            "customer",
            "Any name of the customer: a phone number or a BSUID.",
            "customer_not_found",
        )
        .query::<PhoneNumberId>("phoneNumberId", "Only under this number.")
        .query::<ErasureCursor>("cursor", "`nextCursor` of a 202.")
        .problem(404, "client_not_found")
        .problem(400, "phone_number_required")
        .answer::<Erasure>(200, "Nothing is left.")
        .answer::<Erasure>(202, "It stopped in time: call again with `cursor`.");
    vec![erase]
}
