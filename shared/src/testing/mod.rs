//! Fakes of every port, and the contract tests that fakes and adapters pass.
