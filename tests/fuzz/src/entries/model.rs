//! What a language model answers: the content of its message, and what is made of it.

use std::hint::black_box;
use std::sync::LazyLock;

use postrider_shared::clock::Clock;
use postrider_shared::database::{Exact, Texts};
use postrider_shared::ids::{ProductId, TenantId};
use postrider_shared::products::{Dimension, Dimensions, Material, Materials, Product, ProductState};
use postrider_worker::extraction;
use postrider_worker::providers::llm::Answer;

/// What the model was shown.
const MAIL: &str = "Angebot\nbitte 3 Banner aus PVC,\n 400 cm breit";

static PRODUCTS: LazyLock<Vec<Product>> = LazyLock::new(|| vec![banner()]);

pub(crate) fn answer(bytes: &[u8]) {
    if let Ok(answer) = serde_json::from_slice::<Answer>(bytes) {
        let checked = black_box(extraction::check(&answer, MAIL, &PRODUCTS));
        // Whatever it says: what was not in the mail is no line.
        assert!(checked.lines.is_empty() || answer.items.iter().any(|item| !item.excerpt.trim().is_empty()));
        black_box(checked.reason());
        let seen = black_box(extraction::check_with_pictures(&answer, MAIL, &PRODUCTS));
        assert!(seen.lines.len() >= checked.lines.len());
    }
}

fn banner() -> Product {
    let now = Clock::system().now();
    let width =
        Dimension { name: "width".into(), unit: "m".into(), min: 1.into(), max: 25.into(), aliases: Vec::new() };
    let vinyl = Material { code: "PVC-510".into(), name: "PVC".into(), aliases: Vec::new(), rate: 17.into() };
    Product {
        id: ProductId::random(),
        tenant_id: TenantId::random(),
        sku: "BANNER".into(),
        name: "Werbebanner".into(),
        description: String::new(),
        aliases: Texts(Vec::new()),
        dimensions: Dimensions(vec![width]),
        materials: Materials(vec![vinyl]),
        unit_label: "Stück".into(),
        formula: "width * material_rate".into(),
        min_quantity: Exact(1.into()),
        max_quantity: Some(Exact(200.into())),
        state: ProductState::Active,
        created_at: now,
        updated_at: now,
    }
}
