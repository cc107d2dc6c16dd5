package objectstore

// Behind is how much the fan-out has in memory of what is committed and not published.
func (s *Store) Behind() (entries, tiles int) {
	f := s.writing.fan
	f.step.takeAnyhow()
	defer f.step.release()
	return len(f.edge.entries), len(f.edge.tiles)
}
