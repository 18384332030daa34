//! How tests share one stack.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Result;
use libtest_mimic::{Failed, Trial};
use tokio::runtime::Runtime;
use tokio::sync::{OnceCell, RwLock, mpsc};

use super::World;

/// A test: it reads as its name.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) turn: Turn,
    pub(crate) run: Run,
}

pub(crate) type Run = for<'w> fn(&'w World) -> Pin<Box<dyn Future<Output = Result<()>> + 'w>>;

/// When a test runs.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Beside others: it has its own bots, clients and customers.
    Beside,
    /// With nobody else: it disturbs Meta for everybody.
    Alone,
    /// After all others.
    Last,
}

/// The cases of a module: its name, then for each test when it runs and its function.
macro_rules! cases {
    ($module:literal: $($turn:ident $test:ident,)*) => {
        vec![$($crate::support::Case {
            name: concat!($module, "::", stringify!($test)),
            turn: $crate::support::suite::Turn::$turn,
            run: |world| Box::pin($test(world)),
        }),*]
    };
}
pub(crate) use cases;

/// The one stack, started when somebody asks for it.
pub(crate) struct Suite {
    runtime: Runtime,
    world: OnceCell<Result<World, String>>,
    /// Read by who runs beside others, written by who runs alone.
    turns: RwLock<()>,
}

impl Suite {
    pub(crate) fn new() -> Arc<Self> {
        let runtime = Runtime::new().expect("the system gives a thread pool");
        Arc::new(Self { runtime, world: OnceCell::new(), turns: RwLock::new(()) })
    }

    /// The cases as trials of the test runner.
    pub(crate) fn trials(self: &Arc<Self>, cases: impl IntoIterator<Item = Case>) -> Vec<Trial> {
        // Each trial but the last ones holds a sender. A trial that has run, or that the filter left out,
        // is dropped, and its sender with it: when none is left, nothing comes before the last ones.
        let (unfinished, finished) = mpsc::channel::<()>(1);
        let finished = Arc::new(Mutex::new(finished));
        let trial = |case: Case| {
            let suite = self.clone();
            let unfinished = (case.turn != Turn::Last).then(|| unfinished.clone());
            let finished = finished.clone();
            Trial::test(case.name, move || {
                if case.turn == Turn::Last {
                    finished.lock().unwrap_or_else(PoisonError::into_inner).blocking_recv();
                }
                let result = suite.runtime.block_on(suite.run(&case));
                drop(unfinished);
                result.map_err(Failed::from)
            })
        };
        cases.into_iter().map(trial).collect()
    }

    async fn run(&self, case: &Case) -> Result<(), String> {
        let start =
            async || World::start().await.map_err(|error| format!("the stack did not start: {error:#}"));
        let world = self.world.get_or_init(start).await.as_ref().map_err(Clone::clone)?;
        let result = if case.turn == Turn::Alone {
            let _turn = self.turns.write().await;
            (case.run)(world).await
        } else {
            let _turn = self.turns.read().await;
            (case.run)(world).await
        };
        result.map_err(|error| format!("{error:#}\nThe logs are in {}", world.info.logs.display()))
    }

    /// Stops the stack, if one was started, and looks at what it left.
    pub(crate) fn stop(&self, look: impl FnOnce(&World) -> Result<()>) -> Result<()> {
        match self.world.get() {
            Some(Ok(world)) => self.runtime.block_on(world.stop()).and_then(|()| look(world)),
            _ => Ok(()),
        }
    }
}
