/// Says that a query looks across all tenants. Only maintenance does: the scheduler's timetable, the relay, archiving. Each such
/// method takes this word, so that a search for it finds every place where tenants are not kept apart.
#[derive(Debug, Clone, Copy)]
pub struct AllTenants;
