//! The committed documents are those of the template and the code of today.

use super::{configuration, cost, read, root};

fn committed(name: &str) -> String {
    read(&root().join("docs").join(name)).unwrap()
}

#[test]
fn the_configuration_reference_is_the_one_of_the_template_and_the_code() {
    let made = configuration::document().unwrap();
    let how = "make it anew: cargo run -q -p reference -- configuration > docs/configuration.md";
    assert!(made == committed("configuration.md"), "{how}");
    for part in
        ["| `Stage` |", "| `APP_SECRET_ARN` | `AppSecretSecret` |", "| `GRAPH_BASE_URL` |", "`AWS_REGION`"]
    {
        assert!(made.contains(part), "{part}");
    }
}

#[test]
fn the_cost_sheet_is_the_one_of_the_prices_and_the_measurements() {
    let made = cost::document().unwrap();
    assert!(made == committed("cost.md"), "make it anew: cargo run -q -p reference -- cost > docs/cost.md");
}
