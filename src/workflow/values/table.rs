//! Names and values as templates see them; a table of paths stands for all of them in a command.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use minijinja::Value as Dynamic;
use minijinja::value::{Enumerator, Object};

/// A map for templates.
#[derive(Debug, Clone, Default)]
pub struct Table {
    values: BTreeMap<String, Dynamic>,
    /// It prints as its values with spaces between them, so that `cat {{ inputs.parts }}` works.
    joined: bool,
}

impl Table {
    /// A table that stands for all of its values when it is used as text.
    pub fn joined() -> Self {
        Self { joined: true, ..Self::default() }
    }

    /// Whether it stands for all of its values.
    pub fn is_joined(&self) -> bool {
        self.joined
    }

    /// Sets a value.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<Dynamic>) {
        self.values.insert(name.into(), value.into());
    }
}

impl From<Table> for Dynamic {
    fn from(table: Table) -> Self {
        Self::from_object(table)
    }
}

impl Object for Table {
    fn get_value(self: &Arc<Self>, key: &Dynamic) -> Option<Dynamic> {
        self.values.get(key.as_str()?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.values.keys().map(Dynamic::from).collect())
    }

    fn render(self: &Arc<Self>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.joined {
            return f.debug_map().entries(&self.values).finish();
        }
        for (position, value) in self.values.values().enumerate() {
            if position > 0 {
                f.write_str(" ")?;
            }
            write!(f, "{value}")?;
        }
        Ok(())
    }
}
