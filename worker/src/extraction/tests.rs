use postrider_shared::clock::Clock;
use postrider_shared::database::{Exact, Texts};
use postrider_shared::ids::{ProductId, QuoteId, TenantId};
use postrider_shared::products::{Dimension, Dimensions, Material, Materials, Product, ProductState};
use postrider_shared::quotes::{DimensionValue, DimensionValues, QuoteLine};
use rust_decimal::Decimal;

use super::{amend, check, customer_name};
use crate::providers::llm::{Answer, AnsweredDimension, AnsweredItem, DroppedLine, Intent};

const MAIL: &str = "Angebot\nbitte 3 Banner aus PVC,\n 400 cm breit";

fn number(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn banner() -> Product {
    let now = Clock::system().now();
    Product {
        id: ProductId::random(),
        tenant_id: TenantId::random(),
        sku: "BANNER".into(),
        name: "Werbebanner".into(),
        description: String::new(),
        aliases: Texts(vec![]),
        dimensions: Dimensions(vec![Dimension {
            name: "width".into(),
            unit: "m".into(),
            min: number("0.5"),
            max: number("25"),
            aliases: vec![],
        }]),
        materials: Materials(vec![Material {
            code: "PVC-510".into(),
            name: "PVC".into(),
            aliases: vec![],
            rate: number("16.90"),
        }]),
        unit_label: "Stück".into(),
        formula: "width * material_rate".into(),
        min_quantity: Exact(number("1")),
        max_quantity: Some(Exact(number("200"))),
        state: ProductState::Active,
        created_at: now,
        updated_at: now,
    }
}

fn item() -> AnsweredItem {
    AnsweredItem {
        line: None,
        excerpt: "3 Banner aus PVC, 400 cm breit".into(),
        sku: Some("BANNER".into()),
        quantity: Some("3".into()),
        material: Some("PVC-510".into()),
        dimensions: vec![AnsweredDimension { name: "width".into(), value: "400".into(), unit: "cm".into() }],
        problem: None,
    }
}

fn answer(items: Vec<AnsweredItem>) -> Answer {
    Answer {
        intent: Intent::NewRequest,
        language: "de".into(),
        confidence: 0.9,
        customer_name: None,
        deadline: None,
        items,
        dropped: vec![],
        decision: None,
        condition: None,
        duplicate_of: None,
        problem: None,
    }
}

fn reason(change: impl FnOnce(&mut AnsweredItem)) -> String {
    let mut item = item();
    change(&mut item);
    let checked = check(&answer(vec![item]), MAIL, &[banner()]);
    assert!(checked.lines.is_empty());
    checked.reason().unwrap()
}

#[test]
fn a_complete_item_is_taken_in_the_products_unit() {
    let checked = check(&answer(vec![item()]), MAIL, &[banner()]);
    assert_eq!(checked.problems, [""; 0]);
    let line = &checked.lines[0];
    assert_eq!((line.quantity, line.dimensions[0].value), (number("3"), number("4")));
    assert_eq!(line.dimensions[0].unit, "m");
}

#[test]
fn whatever_is_missing_unknown_or_out_of_bounds_is_named() {
    assert_eq!(reason(|item| item.quantity = None), "item 1 (BANNER): the quantity is missing or not a number");
    assert!(reason(|item| item.quantity = Some("-5".into())).contains("quantity is -5"));
    assert!(reason(|item| item.quantity = Some("99999999999999999999".into())).contains("quantity"));
    assert!(reason(|item| item.quantity = Some("1e9".into())).contains("quantity is missing or not a number"));
    assert!(reason(|item| item.sku = None).contains("no product"));
    assert!(reason(|item| item.sku = Some("POLO".into())).contains("product is unknown"));
    assert!(reason(|item| item.material = None).contains("material is missing"));
    assert!(reason(|item| item.material = Some("GOLD".into())).contains("material “GOLD” is unknown"));
    assert!(reason(|item| item.dimensions.clear()).contains("width is missing"));
    assert!(reason(|item| item.dimensions[0].value = "4000".into()).contains("width is 40 m, allowed are 0.5 to 25 m"));
    assert!(reason(|item| item.dimensions[0].unit = "kg".into()).contains("width"));
    assert!(reason(|item| item.dimensions.push(item.dimensions[0].clone())).contains("more than once"));
    assert!(reason(|item| item.dimensions[0].name = "depth".into()).contains("no dimension “depth”"));
    assert!(reason(|item| item.problem = Some("two colours".into())).contains("two colours"));
}

#[test]
fn words_that_are_not_in_the_mail_are_not_believed() {
    assert!(reason(|item| item.excerpt = "30 Banner aus PVC".into()).contains("do not occur in the mail"));
    assert!(reason(|item| item.excerpt = " ".into()).contains("do not occur in the mail"));
}

#[test]
fn doubt_about_the_whole_is_a_reason_even_if_every_item_is_right() {
    for doubtful in [
        Answer { confidence: 0.69, ..answer(vec![item()]) },
        Answer { confidence: f64::NAN, ..answer(vec![item()]) },
        Answer { confidence: 7.0, ..answer(vec![item()]) },
        Answer { problem: Some("whose order?".into()), ..answer(vec![item()]) },
        answer(vec![]),
        answer(vec![item(); 101]),
    ] {
        assert!(check(&doubtful, MAIL, &[banner()]).reason().is_some(), "{doubtful:?}");
    }
}

/// Line 1 of a quote: three banners, in whatever unit.
fn offered(product: &Product, width: &str, unit: &str) -> QuoteLine {
    QuoteLine {
        quote_id: QuoteId::random(),
        position: 1,
        tenant_id: product.tenant_id,
        product_id: Some(product.id),
        sku: product.sku.clone(),
        description: "Werbebanner, wie besprochen".into(),
        dimensions: DimensionValues(vec![DimensionValue {
            name: "width".into(),
            value: number(width),
            unit: unit.into(),
        }]),
        material: Some("PVC-510".into()),
        quantity: Exact(number("3")),
        unit_price: None,
        total: None,
        explanation: None,
    }
}

fn kept() -> AnsweredItem {
    AnsweredItem { line: Some(1), excerpt: String::new(), ..item() }
}

const CHANGE: &str = "Re: Angebot\nbitte 5 statt 3, und noch 2 Banner aus PVC, 3 m breit";

#[test]
fn lines_that_stay_need_no_words_and_those_that_change_do() {
    let banner = banner();
    let present = [offered(&banner, "4", "m")];
    let products = [banner];
    let five = AnsweredItem { quantity: Some("5".into()), excerpt: "bitte 5 statt 3".into(), ..kept() };
    let checked = amend(&answer(vec![five.clone()]), CHANGE, &products, &present);
    assert_eq!((checked.reason(), checked.lines[0].quantity), (None, number("5")));

    let added =
        AnsweredItem { excerpt: "noch 2 Banner aus PVC, 3 m breit".into(), quantity: Some("2".into()), ..item() };
    let checked = amend(&answer(vec![kept(), added]), CHANGE, &products, &present);
    assert_eq!((checked.reason(), checked.lines.len()), (None, 2));
    assert_eq!(checked.lines[0].description, "Werbebanner, wie besprochen");
    // A person may have approved the line in another unit.
    let again = amend(&answer(vec![kept(), five]), CHANGE, &products, &[offered(&products[0], "4000", "mm")]);
    assert!(again.reason().unwrap().contains("stands twice"), "{again:?}");

    let silent = AnsweredItem { quantity: Some("5000".into()), ..kept() };
    let reason = amend(&answer(vec![silent]), CHANGE, &products, &present).reason().unwrap();
    assert!(reason.contains("do not occur") && reason.contains("at most 200"), "{reason}");
    let nothing = amend(&answer(vec![kept()]), CHANGE, &products, &present).reason().unwrap();
    assert!(nothing.contains("says so already"), "{nothing}");
    let other = amend(&answer(vec![AnsweredItem { line: Some(7), ..item() }]), CHANGE, &products, &present);
    assert!(other.reason().unwrap().contains("no line 7"), "{other:?}");
}

#[test]
fn no_line_vanishes_in_silence() {
    let banner = banner();
    let present = [offered(&banner, "4", "m"), QuoteLine { position: 2, ..offered(&banner, "3", "m") }];
    let of = |items: Vec<AnsweredItem>, dropped: &[(i32, &str)]| {
        let dropped = dropped.iter().map(|(line, words)| DroppedLine { line: *line, excerpt: (*words).into() });
        let answer = Answer { dropped: dropped.collect(), ..answer(items) };
        amend(&answer, "bitte ohne das kleine", std::slice::from_ref(&banner), &present)
    };
    assert_eq!(of(vec![kept()], &[(2, "ohne das kleine")]).reason(), None);
    assert!(of(vec![kept()], &[]).reason().unwrap().contains("line 2 (BANNER) is missing"));
    assert!(of(vec![kept()], &[(2, "without it")]).reason().unwrap().contains("do not occur"));
    assert!(of(vec![kept()], &[(2, "ohne das kleine"), (1, "ohne")]).reason().unwrap().contains("cannot be dropped"));
    assert!(of(vec![], &[(1, "ohne"), (2, "ohne")]).reason().unwrap().contains("nothing would be left"));
}

#[test]
fn a_customers_name_is_none_that_another_mail_gave() {
    let named = |name: &str| {
        let answer = Answer { customer_name: Some(name.into()), ..answer(vec![item()]) };
        customer_name(&answer, "Bitte 3 Banner.\nGrüße, Anna Berg\nBerg & Söhne GmbH", "A. Berg anna@berg.example")
    };
    for own in ["Anna Berg", "anna berg, Berg & Söhne GmbH", "Berg & Söhne GmbH (Anna Berg)", "anna@berg.example"] {
        assert_eq!(named(own).as_deref(), Some(own));
    }
    for other in ["Karl Lang", "Anna Berg; Lang pays 4,200 EUR", "Lang: 20 roll-ups until Friday"] {
        assert_eq!(named(other), None);
    }
}
