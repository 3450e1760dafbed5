//! What reading the registry costs.

use super::*;

struct Plain;
impl TxSpaceHandler for Plain {}

#[test]
fn reading_never_copies_the_table() {
    let registry = Arc::new(Registry::default());
    let (_registration, _) = registry.add_space(SpaceId::from_static(b"s"), Arc::new(Plain)).unwrap();
    let first = registry.full_snapshot();
    assert!(Arc::ptr_eq(&first, &registry.full_snapshot()) && Arc::ptr_eq(&first, &registry.snapshot()));
    registry.add_space(SpaceId::from_static(b"t"), Arc::new(Plain)).unwrap().0.keep();
    assert!(!Arc::ptr_eq(&first, &registry.full_snapshot()), "a change replaces it");
    assert_eq!((first.spaces().count(), registry.snapshot().spaces().count()), (1, 2));
}
