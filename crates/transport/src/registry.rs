//! Which handler is responsible for which space and module, as a snapshot that registration replaces.
//!
//! The rule: reading is a pointer copy and takes no lock, so a handler that is called from a snapshot
//! may change the registry. What it changes shows in the next snapshot.

use crate::{TxModuleHandler, TxSpaceHandler};
use arc_swap::{ArcSwap, Guard};
use quorate_wire::{ModuleId, SpaceId};
use std::{
    collections::HashMap,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering},
    },
};

/// All handlers but the transport's own.
#[derive(Default)]
pub(crate) struct Registry {
    handlers: ArcSwap<Handlers>,
    /// Numbers registrations, so that a guard never removes the one after its own.
    next: AtomicU64,
}

/// One snapshot.
#[derive(Default, Clone)]
pub(crate) struct Handlers {
    spaces: HashMap<SpaceId, Space>,
}

/// The handlers of one space. A module may be there before its space is.
#[derive(Default, Clone)]
pub(crate) struct Space {
    handler: Option<Entry<dyn TxSpaceHandler>>,
    modules: HashMap<ModuleId, Entry<dyn TxModuleHandler>>,
}

struct Entry<T: ?Sized> {
    number: u64,
    handler: Arc<T>,
}

impl Registry {
    pub(crate) fn snapshot(&self) -> Guard<Arc<Handlers>> {
        self.handlers.load()
    }

    /// A snapshot that may be kept across an await.
    pub(crate) fn full_snapshot(&self) -> Arc<Handlers> {
        self.handlers.load_full()
    }

    pub(crate) fn add_space(
        self: &Arc<Self>,
        space: SpaceId,
        handler: Arc<dyn TxSpaceHandler>,
    ) -> Result<SpaceRegistration, AlreadyRegistered> {
        let space = space.detach();
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let free = self.change(|handlers| {
            let slot = &mut handlers.spaces.entry(space.clone()).or_default().handler;
            let free = slot.is_none();
            if free {
                *slot = Some(Entry { number, handler: Arc::clone(&handler) });
            }
            free
        });
        let taken = || AlreadyRegistered { space: space.clone(), module: None };
        free.then(|| SpaceRegistration(Registration::new(self, &space, None, number))).ok_or_else(taken)
    }

    pub(crate) fn add_module(
        self: &Arc<Self>,
        space: SpaceId,
        module: ModuleId,
        handler: Arc<dyn TxModuleHandler>,
    ) -> Result<ModuleRegistration, AlreadyRegistered> {
        let (space, module) = (space.detach(), module.detach());
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let free = self.change(|handlers| {
            let modules = &mut handlers.spaces.entry(space.clone()).or_default().modules;
            let free = !modules.contains_key(&module);
            if free {
                modules.insert(module.clone(), Entry { number, handler: Arc::clone(&handler) });
            }
            free
        });
        if !free {
            return Err(AlreadyRegistered { space, module: Some(module) });
        }
        Ok(ModuleRegistration(Registration::new(self, &space, Some(module), number)))
    }

    /// Removes a space with all its modules; one that is not there stays so.
    pub(crate) fn remove_space(&self, space: &SpaceId) {
        self.change(|handlers| handlers.spaces.remove(space).is_some());
    }

    /// Removes everything.
    pub(crate) fn clear(&self) {
        self.handlers.store(Arc::default());
    }

    fn remove(&self, space: &SpaceId, module: Option<&ModuleId>, number: u64) {
        self.change(|handlers| {
            let Some(entry) = handlers.spaces.get_mut(space) else { return false };
            let ours = match module {
                None => entry.handler.take_if(|entry| entry.number == number).is_some(),
                Some(module) => {
                    let ours = entry.modules.get(module).is_some_and(|entry| entry.number == number);
                    ours && entry.modules.remove(module).is_some()
                }
            };
            if entry.handler.is_none() && entry.modules.is_empty() {
                handlers.spaces.remove(space);
            }
            ours
        });
    }

    /// Replaces the snapshot by one that `edit` changed; returns what the edit that counted returned.
    fn change(&self, mut edit: impl FnMut(&mut Handlers) -> bool) -> bool {
        let mut outcome = false;
        self.handlers.rcu(|current| {
            let mut next = Handlers::clone(current);
            outcome = edit(&mut next);
            next
        });
        outcome
    }
}

impl Handlers {
    /// The space, if it has a handler: one that only has modules does not count.
    pub(crate) fn space(&self, space: &SpaceId) -> Option<(&dyn TxSpaceHandler, &Space)> {
        let entry = self.spaces.get(space)?;
        Some((entry.handler.as_ref()?.handler.as_ref(), entry))
    }

    /// The handlers of all spaces.
    pub(crate) fn spaces(&self) -> impl Iterator<Item = &Arc<dyn TxSpaceHandler>> {
        self.spaces.values().filter_map(|space| space.handler.as_ref()).map(|entry| &entry.handler)
    }

    /// The handlers of all modules of all spaces.
    pub(crate) fn modules(&self) -> impl Iterator<Item = &Arc<dyn TxModuleHandler>> {
        self.spaces.values().flat_map(|space| space.modules.values()).map(|entry| &entry.handler)
    }
}

impl Space {
    pub(crate) fn module(&self, module: &ModuleId) -> Option<&dyn TxModuleHandler> {
        self.modules.get(module).map(|entry| entry.handler.as_ref())
    }
}

impl<T: ?Sized> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self { number: self.number, handler: Arc::clone(&self.handler) }
    }
}

/// A space or module has a handler already; that one stays. The caller's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the space {space}{} has a handler already", module_suffix(.module.as_ref()))]
#[non_exhaustive]
pub struct AlreadyRegistered {
    /// The space.
    pub space: SpaceId,
    /// The module, where it is the module that has one.
    pub module: Option<ModuleId>,
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
