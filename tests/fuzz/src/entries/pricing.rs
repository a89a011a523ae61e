//! Formulas, as tenants write them.

use std::hint::black_box;

use postrider_shared::pricing::{Formula, FormulaError, FormulaVariables};

pub(crate) fn formula(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let Ok(variables) = variables() else { return };
    // Understanding it includes trying it over the corners of its variables.
    if let Err(error) = black_box(Formula::parse(&text, &variables)) {
        black_box(error.to_string());
    }
}

fn variables() -> Result<FormulaVariables, FormulaError> {
    FormulaVariables::new()
        .range("quantity", 1.into(), 1_000.into())?
        .range("width", 100.into(), 5_000.into())?
        .range("height", 100.into(), 3_000.into())?
        .one_of("material_rate", vec![10.into(), 25.into()])
}
