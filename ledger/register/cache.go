package register

// cache keeps the threads that were used last, at most twice limit of them. It
// has two generations: what is used while it is in the old one moves to the
// young one, and when that is full the old one is dropped.
type cache struct {
	limit      int
	young, old map[string]*ThreadRow
}

func newCache(limit int) *cache {
	return &cache{limit: limit, young: make(map[string]*ThreadRow)}
}

func (c *cache) get(thread string) *ThreadRow {
	if row := c.young[thread]; row != nil {
		return row
	}
	row := c.old[thread]
	if row != nil {
		c.put(row)
	}
	return row
}

func (c *cache) put(row *ThreadRow) {
	if len(c.young) >= c.limit {
		c.old, c.young = c.young, make(map[string]*ThreadRow, c.limit)
	}
	c.young[row.Thread] = row
}
