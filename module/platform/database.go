package platform

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"

	"github.com/seqera-tools/crypto-rotation/module/fault"
	"github.com/seqera-tools/crypto-rotation/module/preflight"
	"github.com/seqera-tools/crypto-rotation/module/proof"
)

// Database finds the database in the backend container's environment: TOWER_DB_URL (jdbc:mysql://host:port/name?…), TOWER_DB_USER
// and TOWER_DB_PASSWORD, which the installer's tower.env sets. If the host is a container, it returns the container's address on
// the network that it shares with the backend, which the VM can reach. Any other host, such as RDS, is returned unchanged. User and
// password are empty if the environment does not have them. Its errors are faults: database_unknown, and database_unavailable if the
// host is a container that is not running.
func (f Found) Database() (proof.Database, error) {
	where, holder, why := f.locate()
	switch {
	case why != "":
		return proof.Database{}, fault.New(fault.CodeDatabaseUnknown, "Set the option database (host, port, name, user, password).", "%s", why)
	case where.Host == "":
		return proof.Database{}, fault.New(fault.CodeDatabaseUnavailable, "Start it (docker start "+holder.Name+"), or set the option database.",
			"The database container %s has no address: it is %s.", holder.Name, holder.State)
	}
	return where, nil
}

// locate resolves TOWER_DB_URL as the backend does, with extra_hosts and the Engine's names. holder is the database's container, or
// nil. If it is not running, the host is empty. why is not empty if the backend's environment does not name the database.
func (f Found) locate() (where proof.Database, holder *preflight.Container, why string) {
	from, ok := f.backend()
	if !ok {
		return where, nil, fmt.Sprintf("The compose project %s has no backend container whose environment names the database.", f.Platform.Project)
	}
	if where, why = databaseOf(from); why != "" {
		return where, nil, why
	}
	if address := extraHost(from, where.Host); address != "" {
		where.Host = address
		return where, nil, ""
	}
	for _, network := range slices.Sorted(maps.Keys(from.Networks)) {
		for i, candidate := range f.members {
			at, shared := candidate.Networks[network]
			if !shared || !slices.ContainsFunc(at.Names, func(name string) bool { return strings.EqualFold(name, where.Host) }) {
				continue
			}
			if holder = &f.members[i]; at.Address != "" {
				where.Host = at.Address
				return where, holder, ""
			}
		}
	}
	if holder != nil {
		where.Host = ""
	}
	return where, holder, ""
}

// backend returns the container whose environment to read: preferably one that is running and names the database.
func (f Found) backend() (preflight.Container, bool) {
	if len(f.backends) == 0 {
		return preflight.Container{}, false
	}
	rank := func(c preflight.Container) int {
		switch {
		case c.Environment["TOWER_DB_URL"].IsEmpty():
			return 2
		case !c.Running:
			return 1
		}
		return 0
	}
	return slices.MinFunc(f.backends, func(a, b preflight.Container) int { return cmp.Compare(rank(a), rank(b)) }), true
}

// databaseOf returns the database that a backend's environment names, or the reason why it names none.
func databaseOf(c preflight.Container) (where proof.Database, why string) {
	url := c.Environment["TOWER_DB_URL"]
	if url.IsEmpty() {
		return where, fmt.Sprintf("The environment of container %s has no TOWER_DB_URL.", c.Name)
	}
	if where, why = parseJDBC(strings.TrimSpace(url.Reveal())); why != "" {
		return where, fmt.Sprintf("TOWER_DB_URL in the environment of container %s is not understood: %s.", c.Name, why)
	}
	where.User, where.Password = c.Environment["TOWER_DB_USER"].Reveal(), c.Environment["TOWER_DB_PASSWORD"]
	return where, ""
}

// extraHost returns the address of a host in the container's extra_hosts, or "".
func extraHost(c preflight.Container, host string) string {
	for _, entry := range c.ExtraHosts {
		name, address, _ := strings.Cut(entry, ":")
		switch {
		case name != host:
		case address == "host-gateway": // the VM itself, as seen from the container's network
			return c.Gateway()
		default:
			return address
		}
	}
	return ""
}

// expected returns the container that compose would create for a backend.
func (f Found) expected(backend preflight.Service) preflight.Container {
	made := preflight.Container{
		Name: "backend (not created yet)", Environment: backend.Environment, ExtraHosts: backend.ExtraHosts, Networks: map[string]preflight.Attachment{},
	}
	for _, name := range backend.Networks {
		made.Networks[name] = preflight.Attachment{}
		for _, m := range f.members {
			if at := m.Networks[name]; at.Gateway != "" {
				made.Networks[name] = preflight.Attachment{Gateway: at.Gateway}
			}
		}
	}
	return made
}

// DatabaseContainer returns the name of the database's container, or "" if the database does not run in a container of the project.
func (f Found) DatabaseContainer() string {
	if _, holder, _ := f.locate(); holder != nil {
		return holder.Name
	}
	return ""
}

// needsForeign reports whether the database's host may be a container outside the project, on a shared network.
func (f Found) needsForeign() bool {
	where, holder, why := f.locate()
	return why == "" && holder == nil && net.ParseIP(where.Host) == nil
}

// shares reports whether a container shares a network with the backend.
func (f Found) shares(c container.Summary) bool {
	from, _ := f.backend()
	if c.NetworkSettings == nil {
		return false
	}
	for network := range c.NetworkSettings.Networks {
		if _, ok := from.Networks[network]; ok {
			return true
		}
	}
	return false
}
