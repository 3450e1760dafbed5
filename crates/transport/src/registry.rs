//! Which handler is responsible for which space and module, as a snapshot that registration replaces.
//!
//! The rule: reading is a pointer copy and takes no lock, so a handler that is called from a snapshot
//! may change the registry. What it changes shows in the next snapshot.

use crate::{Rate, TxModuleHandler, TxSpaceHandler, rate::SharedBucket};
use arc_swap::{ArcSwap, Guard};
use quorate_wire::{ModuleId, PeerUrl, SpaceId};
use std::{
    collections::BTreeMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

/// All handlers but the transport's own.
#[derive(Default)]
pub(crate) struct Registry {
    handlers: ArcSwap<Handlers>,
    /// What may come to one space.
    rate: Option<Rate>,
    /// Numbers registrations, so that a guard never removes the one after its own.
    next: AtomicU64,
}

/// One snapshot. Few entries and a look-up per message: comparing ids is quicker than hashing them.
#[derive(Default, Clone)]
pub(crate) struct Handlers {
    spaces: BTreeMap<SpaceId, Space>,
    /// Nothing is registered any more.
    closed: bool,
}

/// The handlers of one space. A module, and an address, may be there before the space is.
#[derive(Default, Clone)]
pub(crate) struct Space {
    handler: Option<Entry<dyn TxSpaceHandler>>,
    modules: Modules,
    /// Where the space alone is reached; without one it is where the transport is.
    address: Option<PeerUrl>,
    /// What its peers share.
    bucket: Option<Arc<SharedBucket>>,
}

/// Few, in the order of their ids, which a frame that came in has as bytes.
#[derive(Default, Clone)]
struct Modules(Vec<(ModuleId, Entry<dyn TxModuleHandler>)>);

struct Entry<T: ?Sized> {
    number: u64,
    handler: Arc<T>,
}

impl Registry {
    pub(crate) fn new(rate: Option<Rate>) -> Self {
        Self { rate, ..Self::default() }
    }

    pub(crate) fn snapshot(&self) -> Guard<Arc<Handlers>> {
        self.handlers.load()
    }

    /// A snapshot that may be kept across an await.
    pub(crate) fn full_snapshot(&self) -> Arc<Handlers> {
        self.handlers.load_full()
    }

    /// Registers, and says where the space alone is reached, if it is.
    pub(crate) fn add_space(
        self: &Arc<Self>,
        space: SpaceId,
        handler: Arc<dyn TxSpaceHandler>,
    ) -> Result<(SpaceRegistration, Option<PeerUrl>), RegisterError> {
        let space = space.detach();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let address = self.change(|handlers| {
            let entry = handlers.open(&space)?;
            if entry.handler.is_some() {
                return Err(RegisterError::AlreadyRegistered { space: space.clone(), module: None });
            }
            entry.handler = Some(Entry { number, handler: Arc::clone(&handler) });
            entry.bucket = self.rate.as_ref().map(|rate| Arc::new(SharedBucket::new(rate)));
            Ok(entry.address.clone())
        })?;
        Ok((SpaceRegistration(Registration::new(self, &space, None, number)), address))
    }

    pub(crate) fn add_module(
        self: &Arc<Self>,
        space: SpaceId,
        module: ModuleId,
        handler: Arc<dyn TxModuleHandler>,
    ) -> Result<ModuleRegistration, RegisterError> {
        let (space, module) = (space.detach(), module.detach());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.change(|handlers| {
            let modules = &mut handlers.open(&space)?.modules;
            let Err(place) = modules.find(module.as_bytes()) else {
                let (space, module) = (space.clone(), Some(module.clone()));
                return Err(RegisterError::AlreadyRegistered { space, module });
            };
            modules.0.insert(place, (module.clone(), Entry { number, handler: Arc::clone(&handler) }));
            Ok(())
        })?;
        Ok(ModuleRegistration(Registration::new(self, &space, Some(module), number)))
    }

    /// The space alone is reached at `address` from now on, or no longer: returns who is to be told, if
    /// the space is there. One that comes later learns it when it registers.
    pub(crate) fn set_address(&self, space: &SpaceId, address: Option<&PeerUrl>) -> Space {
        self.change(|handlers| {
            let Ok(entry) = handlers.open(space) else { return Space::default() };
            entry.address = address.cloned();
            let told = entry.clone();
            handlers.tidy(space);
            told
        })
    }

    /// Removes a space with all its modules; one that is not there stays so.
    pub(crate) fn remove_space(&self, space: &SpaceId) {
        self.change(|handlers| handlers.spaces.remove(space).is_some());
    }

    /// Removes everything, for good.
    pub(crate) fn close(&self) {
        self.handlers.store(Arc::new(Handlers { closed: true, ..Handlers::default() }));
    }

    fn remove(&self, space: &SpaceId, module: Option<&ModuleId>, number: u64) {
        self.change(|handlers| {
            let Some(entry) = handlers.spaces.get_mut(space) else { return false };
            let ours = match module {
                None => entry.handler.take_if(|entry| entry.number == number).is_some(),
                Some(module) => {
                    let before = entry.modules.0.len();
                    entry.modules.0.retain(|(id, entry)| id != module || entry.number != number);
                    entry.modules.0.len() < before
                }
            };
            handlers.tidy(space);
            ours
        });
    }

    /// Replaces the snapshot by one that `edit` changed; returns what the edit that counted returned.
    fn change<T>(&self, mut edit: impl FnMut(&mut Handlers) -> T) -> T {
        let mut current = self.handlers.load();
        loop {
            let mut next = Handlers::clone(&current);
            let outcome = edit(&mut next);
            let seen = self.handlers.compare_and_swap(&*current, Arc::new(next));
            if Arc::ptr_eq(&current, &seen) {
                return outcome;
            }
            current = seen;
        }
    }
}

impl Handlers {
    /// The space, if it has a handler: one that only has modules does not count.
    pub(crate) fn space(&self, space: &SpaceId) -> Option<(&dyn TxSpaceHandler, &Space)> {
        let entry = self.spaces.get(space)?;
        Some((entry.handler.as_ref()?.handler.as_ref(), entry))
    }

    /// The same by the bytes of its id, with the id.
    pub(crate) fn space_of(&self, space: &[u8]) -> Option<(&SpaceId, &dyn TxSpaceHandler, &Space)> {
        let (id, entry) = self.spaces.get_key_value(space)?;
        Some((id, entry.handler.as_ref()?.handler.as_ref(), entry))
    }

    /// The place of a space, to put something into.
    fn open(&mut self, space: &SpaceId) -> Result<&mut Space, RegisterError> {
        if self.closed {
            return Err(RegisterError::Closed);
        }
        Ok(self.spaces.entry(space.clone()).or_default())
    }

    /// Forgets a space of which nothing is left.
    fn tidy(&mut self, space: &SpaceId) {
        let empty =
            |entry: &Space| entry.handler.is_none() && entry.modules.0.is_empty() && entry.address.is_none();
        if self.spaces.get(space).is_some_and(empty) {
            self.spaces.remove(space);
        }
    }

    /// Where spaces alone are reached, in the order of their ids.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &PeerUrl> {
        self.spaces.values().filter_map(|space| space.address.as_ref())
    }

    /// All spaces that are reached where the transport is.
    pub(crate) fn without_address(&self) -> impl Iterator<Item = &Space> {
        self.spaces.values().filter(|space| space.address.is_none())
    }

    /// The handlers of all spaces.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = &Arc<dyn TxSpaceHandler>> {
        self.spaces.values().filter_map(Space::handler)
    }

    /// The handlers of all modules of all spaces.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Arc<dyn TxModuleHandler>> {
        self.spaces.values().flat_map(Space::modules)
    }
}

impl Space {
    /// Its handler, if it has one.
    pub(crate) fn handler(&self) -> Option<&Arc<dyn TxSpaceHandler>> {
        self.handler.as_ref().map(|entry| &entry.handler)
    }

    /// The handlers of its modules.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Arc<dyn TxModuleHandler>> {
        self.modules.0.iter().map(|(_, entry)| &entry.handler)
    }

    /// What all that comes to the space is charged to.
    pub(crate) const fn bucket(&self) -> Option<&Arc<SharedBucket>> {
        self.bucket.as_ref()
    }

    /// The handler of a module by the bytes of its id, with the id.
    pub(crate) fn module(&self, module: &[u8]) -> Option<(&ModuleId, &dyn TxModuleHandler)> {
        let (id, entry) = self.modules.0.get(self.modules.find(module).ok()?)?;
        Some((id, entry.handler.as_ref()))
    }
}

impl Modules {
    /// Where the module is, or would be.
    fn find(&self, module: &[u8]) -> Result<usize, usize> {
        self.0.binary_search_by(|(id, _)| id.as_bytes().cmp(module))
    }
}

impl<T: ?Sized> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, handler: Arc::clone(&self.handler) }
    }
}

/// Why a handler was not registered. Nothing changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The space or module has a handler already, and that one stays. The caller's fault.
    #[error("the space {space}{} has a handler already", module_suffix(.module.as_ref()))]
    AlreadyRegistered {
        /// The space.
        space: SpaceId,
        /// The module, where it is the module that has one.
        module: Option<ModuleId>,
    },
    /// This transport was closed.
    #[error("this transport was closed")]
    Closed,
}

fn module_suffix(module: Option<&ModuleId>) -> String {
    module.map(|module| format!(", module {module}")).unwrap_or_default()
}

/// Keeps a space's handler registered; dropping it unregisters the handler (not the modules).
#[derive(Debug)]
#[must_use = "dropping it unregisters the handler"]
pub struct SpaceRegistration(Registration);

/// Keeps a module's handler registered; dropping it unregisters the handler.
#[derive(Debug)]
#[must_use = "dropping it unregisters the handler"]
pub struct ModuleRegistration(Registration);

impl SpaceRegistration {
    /// Leaves the handler registered for as long as the transport lives, or until
    /// [`Transport::unregister_space`](crate::Transport::unregister_space).
    pub fn keep(mut self) {
        self.0.registry = Weak::new();
    }

    /// The space.
    pub const fn space(&self) -> &SpaceId {
        &self.0.space
    }
}

impl ModuleRegistration {
    /// Leaves the handler registered for as long as the transport lives, or until
    /// [`Transport::unregister_space`](crate::Transport::unregister_space).
    pub fn keep(mut self) {
        self.0.registry = Weak::new();
    }

    /// The space.
    pub const fn space(&self) -> &SpaceId {
        &self.0.space
    }
}

/// Weak, so that a handler may hold its own registration without keeping the transport alive.
struct Registration {
    registry: Weak<Registry>,
    space: SpaceId,
    module: Option<ModuleId>,
    number: u64,
}

impl Registration {
    fn new(registry: &Arc<Registry>, space: &SpaceId, module: Option<ModuleId>, number: u64) -> Self {
        Self { registry: Arc::downgrade(registry), space: space.clone(), module, number }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Some(registry) = self.registry.upgrade() {
            registry.remove(&self.space, self.module.as_ref(), self.number);
        }
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = f.debug_struct("Registration");
        out.field("space", &self.space).field("module", &self.module).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
