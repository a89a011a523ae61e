//! Units of measure, converted exactly.
//!
//! Every unit is a decimal multiple of its kind's base (an inch *is* 25.4 mm), so a conversion is one multiplication and
//! one division. What customers write ("Zoll", "″", "sqm") is found by alias.

use std::{fmt, str::FromStr};

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// What a unit measures. Only units of one kind convert into each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DimensionKind {
    Length,
    Area,
    Volume,
    Weight,
    Time,
    /// Things that are counted: pieces, pairs, dozens.
    Count,
}

/// A unit known to the product. Its canonical spelling is what APIs and records show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Unit(&'static Definition);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConversionError {
    #[error("`{0}` is not a unit we know")]
    UnknownUnit(String),
    #[error("{from} cannot be converted to {to}: one is {}, the other {}", .from.kind(), .to.kind())]
    DifferentKinds { from: Unit, to: Unit },
    #[error("the number is too large to be converted from {from} to {to}")]
    TooLarge { from: Unit, to: Unit },
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Definition {
    name: &'static str,
    kind: DimensionKind,
    /// How many base units (mm, mm², mm³, mg, s, piece) it is: digits and the number of them after the point.
    factor: (i64, u32),
    /// Lower case, without a full stop at the end.
    aliases: &'static [&'static str],
}

const fn unit(
    name: &'static str,
    kind: DimensionKind,
    factor: (i64, u32),
    aliases: &'static [&'static str],
) -> Definition {
    Definition { name, kind, factor, aliases }
}

#[rustfmt::skip]
static UNITS: &[Definition] = &[
    unit("mm", DimensionKind::Length, (1, 0), &["millimeter", "millimetre", "millimeters", "millimetres", "millimètre", "millimètres", "milímetro", "milímetros", "millimetro", "millimetri"]),
    unit("cm", DimensionKind::Length, (10, 0), &["centimeter", "centimetre", "centimeters", "centimetres", "zentimeter", "centimètre", "centimètres", "centímetro", "centímetros", "centimetro", "centimetri"]),
    unit("dm", DimensionKind::Length, (100, 0), &["decimeter", "decimetre", "dezimeter"]),
    unit("m", DimensionKind::Length, (1000, 0), &["meter", "metre", "meters", "metres", "mtr", "lfm", "mètre", "mètres", "metro", "metros", "metri", "м"]),
    unit("in", DimensionKind::Length, (254, 1), &["inch", "inches", "\"", "″", "”", "''", "zoll", "pouce", "pouces", "pulgada", "pulgadas", "pollice", "pollici"]),
    unit("ft", DimensionKind::Length, (3048, 1), &["foot", "feet", "'", "′", "’", "fuß", "fuss", "pied", "pieds", "pie", "pies"]),
    unit("yd", DimensionKind::Length, (9144, 1), &["yard", "yards"]),
    unit("mm2", DimensionKind::Area, (1, 0), &["mm²", "mm^2", "sq mm", "sqmm", "qmm"]),
    unit("cm2", DimensionKind::Area, (100, 0), &["cm²", "cm^2", "sq cm", "sqcm", "qcm"]),
    unit("m2", DimensionKind::Area, (1_000_000, 0), &["m²", "m^2", "sq m", "sqm", "qm", "square meter", "square meters", "square metre", "square metres", "quadratmeter", "mètre carré", "mètres carrés", "metro quadrato", "metri quadrati", "metro cuadrado", "metros cuadrados"]),
    unit("in2", DimensionKind::Area, (64516, 2), &["in²", "in^2", "sq in", "sqin", "square inch", "square inches"]),
    unit("ft2", DimensionKind::Area, (9_290_304, 2), &["ft²", "ft^2", "sq ft", "sqft", "square foot", "square feet"]),
    unit("mm3", DimensionKind::Volume, (1, 0), &["mm³", "mm^3"]),
    unit("cm3", DimensionKind::Volume, (1000, 0), &["cm³", "cm^3", "ccm", "cc"]),
    unit("ml", DimensionKind::Volume, (1000, 0), &["milliliter", "millilitre", "milliliters", "millilitres"]),
    unit("l", DimensionKind::Volume, (1_000_000, 0), &["liter", "litre", "liters", "litres", "ltr", "litro", "litros", "litri"]),
    unit("m3", DimensionKind::Volume, (1_000_000_000, 0), &["m³", "m^3", "cubic meter", "cubic meters", "cubic metre", "cubic metres", "kubikmeter", "cbm"]),
    unit("ft3", DimensionKind::Volume, (28_316_846_592, 3), &["ft³", "ft^3", "cu ft", "cubic foot", "cubic feet"]),
    unit("gal", DimensionKind::Volume, (3_785_411_784, 3), &["gallon", "gallons", "us gal", "us gallon", "us gallons"]),
    unit("mg", DimensionKind::Weight, (1, 0), &["milligram", "milligrams", "milligramm"]),
    unit("g", DimensionKind::Weight, (1000, 0), &["gram", "grams", "gramm", "gramme", "grammes", "gr"]),
    unit("kg", DimensionKind::Weight, (1_000_000, 0), &["kilogram", "kilograms", "kilogramm", "kilogramme", "kilo", "kilos", "kgs"]),
    unit("t", DimensionKind::Weight, (1_000_000_000, 0), &["tonne", "tonnes", "metric ton", "metric tons"]),
    unit("oz", DimensionKind::Weight, (28_349_523_125, 6), &["ounce", "ounces"]),
    unit("lb", DimensionKind::Weight, (45_359_237, 2), &["lbs", "pound", "pounds"]),
    unit("s", DimensionKind::Time, (1, 0), &["sec", "second", "seconds", "sekunde", "sekunden"]),
    unit("min", DimensionKind::Time, (60, 0), &["minute", "minutes", "minuten"]),
    unit("h", DimensionKind::Time, (3600, 0), &["hour", "hours", "hr", "hrs", "stunde", "stunden", "std"]),
    unit("d", DimensionKind::Time, (86400, 0), &["day", "days", "tag", "tage"]),
    unit("pcs", DimensionKind::Count, (1, 0), &["pc", "piece", "pieces", "stk", "stück", "stueck", "st", "pièce", "pièces", "pieza", "piezas", "pezzo", "pezzi", "unit", "units", "ea", "each"]),
    unit("pair", DimensionKind::Count, (2, 0), &["pairs", "paar", "paire", "paires"]),
    unit("dozen", DimensionKind::Count, (12, 0), &["dozens", "doz", "dutzend", "douzaine"]),
];

impl Unit {
    pub fn kind(self) -> DimensionKind {
        self.0.kind
    }

    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// All canonical names, for messages and for schemas.
    pub fn names() -> impl Iterator<Item = &'static str> {
        UNITS.iter().map(|definition| definition.name)
    }

    /// The same amount in another unit of the same kind. Exact wherever the result has at most 28 digits.
    pub fn convert(self, value: Decimal, to: Self) -> Result<Decimal, ConversionError> {
        if self.kind() != to.kind() {
            return Err(ConversionError::DifferentKinds { from: self, to });
        }
        if self == to {
            return Ok(value);
        }
        value
            .checked_mul(self.factor())
            .and_then(|base| base.checked_div(to.factor()))
            .map(|converted| converted.normalize())
            .ok_or(ConversionError::TooLarge { from: self, to })
    }

    fn factor(self) -> Decimal {
        Decimal::new(self.0.factor.0, self.0.factor.1)
    }
}

impl FromStr for Unit {
    type Err = ConversionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let written = text.trim().trim_end_matches('.').to_lowercase();
        UNITS
            .iter()
            .find(|unit| unit.name == written || unit.aliases.contains(&written.as_str()))
            .map(Unit)
            .ok_or_else(|| ConversionError::UnknownUnit(text.trim().chars().take(40).collect()))
    }
}

impl TryFrom<String> for Unit {
    type Error = ConversionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Unit> for String {
    fn from(unit: Unit) -> Self {
        unit.name().to_owned()
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for DimensionKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a length",
            Self::Area => "an area",
            Self::Volume => "a volume",
            Self::Weight => "a weight",
            Self::Time => "a time",
            Self::Count => "a count",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::{any, prop_assert_eq, proptest};

    use super::*;

    fn convert(value: &str, from: &str, to: &str) -> Result<String, ConversionError> {
        let from: Unit = from.parse()?;
        from.convert(value.parse().unwrap(), to.parse()?).map(|value| value.to_string())
    }

    #[test]
    fn conversions_are_exact() {
        assert_eq!(convert("120", "cm", "mm").unwrap(), "1200");
        assert_eq!(convert("47.25", "Zoll", "mm").unwrap(), "1200.15");
        assert_eq!(convert("3", "ft", "in").unwrap(), "36");
        assert_eq!(convert("1", "mm", "m").unwrap(), "0.001");
        assert_eq!(convert("0.1", "m", "mm").unwrap(), "100");
        assert_eq!(convert("2.5", "qm", "cm2").unwrap(), "25000");
        assert_eq!(convert("1", "lb", "oz").unwrap(), "16");
        assert_eq!(convert("1", "gal", "l").unwrap(), "3.785411784");
        assert_eq!(convert("3", "Dutzend", "Stk.").unwrap(), "36");
    }

    #[test]
    fn kinds_do_not_mix_and_unknown_units_are_named() {
        let mixed = convert("1", "mm", "kg").unwrap_err();
        assert_eq!(mixed.to_string(), "mm cannot be converted to kg: one is a length, the other a weight");
        assert_eq!(convert("1", "parsec", "m").unwrap_err(), ConversionError::UnknownUnit("parsec".into()));
        assert!(matches!(convert(&Decimal::MAX.to_string(), "m", "mm"), Err(ConversionError::TooLarge { .. })));
    }

    #[test]
    fn no_spelling_means_two_units() {
        let mut seen = HashMap::new();
        for unit in UNITS {
            for spelling in unit.aliases.iter().chain([&unit.name]) {
                assert_eq!(*spelling, spelling.to_lowercase(), "aliases are lower case");
                assert!(seen.insert(*spelling, unit.name).is_none(), "{spelling} is written twice");
            }
        }
    }

    proptest! {
        #[test]
        fn there_and_back_is_the_same_number(value in any::<u32>(), scale in 0_u32..4, a in 0..UNITS.len(), b in 0..UNITS.len()) {
            let (from, to) = (Unit(&UNITS[a]), Unit(&UNITS[b]));
            let value = Decimal::new(value.into(), scale);
            if let Ok(there) = from.convert(value, to) {
                let back = to.convert(there, from).unwrap();
                prop_assert_eq!(back.round_dp(9), value.round_dp(9));
            }
        }
    }
}
