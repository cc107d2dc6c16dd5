package register

// cache keeps the threads that were used last: at most twice limit of them, whose rows
// take at most twice bytes, but for the last one put. It has two generations: what is
// used while it is in the old one moves to the young one, and when that is full the
// old one is dropped.
type cache struct {
	limit, bytes int
	young, old   map[string]*ThreadRow
	held         int // bytes of young
}

// rowOverhead is what a row in memory takes beside its text, about.
const rowOverhead = 512

func newCache(limit, bytes int) *cache {
	return &cache{limit: limit, bytes: bytes, young: make(map[string]*ThreadRow)}
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
	if was := c.young[row.Thread]; was != nil {
		c.held -= was.bytes + rowOverhead
		delete(c.young, row.Thread)
	}
	size := row.bytes + rowOverhead
	if len(c.young) >= c.limit || len(c.young) > 0 && c.held+size > c.bytes {
		c.old, c.young, c.held = c.young, make(map[string]*ThreadRow), 0
	}
	c.young[row.Thread] = row
	c.held += size
}
