use postrider_shared::{
    database::StoreError,
    products::{ProductSettings, ProductState},
};
use rust_decimal::Decimal;

use crate::scene::{Scene, on_both, plate};

on_both!(a_product_comes_back_as_it_was_saved, a_formula_that_cannot_price_is_refused_with_its_place);

async fn a_product_comes_back_as_it_was_saved(scene: Scene) {
    let products = &scene.stores.products;
    let product = products.create(scene.tenant, plate()).await.unwrap();
    assert_eq!(products.get(scene.tenant, product.id).await.unwrap(), product);
    assert_eq!(product.settings(), plate());
    assert!(matches!(products.create(scene.tenant, plate()).await, Err(StoreError::Taken { .. })));
    products.create(scene.stranger, plate()).await.unwrap();
    assert!(products.get(scene.stranger, product.id).await.is_err());

    let archived = ProductSettings { state: ProductState::Archived, ..plate() };
    products.change(scene.tenant, product.id, |_| archived).await.unwrap();
    assert!(products.offered(scene.tenant).await.unwrap().is_empty());
    assert_eq!(products.list(scene.tenant, None, 10).await.unwrap().items.len(), 1);
}

async fn a_formula_that_cannot_price_is_refused_with_its_place(scene: Scene) {
    let products = &scene.stores.products;
    for formula in ["width +", "1 / (width - width)", "-1", "height * 2", ""] {
        let wrong = ProductSettings { formula: formula.to_owned(), ..plate() };
        match products.create(scene.tenant, wrong).await.unwrap_err() {
            StoreError::Formula(error) => assert!(!error.reason.is_empty(), "{formula}"),
            other => panic!("{formula}: {other:?}"),
        }
    }
    for wrong in [
        ProductSettings { min_quantity: Decimal::ZERO, ..plate() },
        ProductSettings { max_quantity: Some(Decimal::new(5, 1)), ..plate() },
        ProductSettings { sku: "a\nb".to_owned(), ..plate() },
    ] {
        assert!(matches!(products.create(scene.tenant, wrong).await, Err(StoreError::Invalid { .. })));
    }
}
