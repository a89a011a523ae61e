use std::collections::HashMap;
use std::sync::Arc;

use axum::http::Method;

/// Something of each operation. A request's path is looked up as it is, without a copy of it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct ByRoute<T>(Arc<HashMap<String, Vec<(Method, T)>>>);

impl<T> ByRoute<T> {
    /// That of a routed request; a HEAD is answered as a GET is.
    pub fn get(&self, method: &Method, path: &str) -> Option<&T> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.0.get(path)?.iter().find_map(|(known, of)| (known == method).then_some(of))
    }

    /// Whether there is an operation of this path.
    pub fn has(&self, path: &str) -> bool {
        self.0.contains_key(path)
    }
}

impl<T> FromIterator<(Method, String, T)> for ByRoute<T> {
    fn from_iter<I: IntoIterator<Item = (Method, String, T)>>(operations: I) -> Self {
        let mut read: HashMap<String, Vec<(Method, T)>> = HashMap::new();
        for (method, path, of) in operations {
            read.entry(path).or_default().push((method, of));
        }
        Self(Arc::new(read))
    }
}
