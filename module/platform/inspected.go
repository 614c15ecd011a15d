package platform

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/docker/docker/api/types/container"
)

// sourceOf keeps of a backend's environment what says where the database is, and nothing else.
func sourceOf(c container.InspectResponse) source {
	s := source{container: strings.TrimPrefix(c.Name, "/"), running: c.State != nil && c.State.Running, hosts: map[string]string{}}
	environment := environmentOf(c.Config.Env)
	for name := range environment {
		s.tower = s.tower || strings.HasPrefix(name, "TOWER_")
	}
	url, why := environment["TOWER_DB_URL"], ""
	if s.told = !url.IsEmpty(); s.told {
		if s.where, why = parseJDBC(strings.TrimSpace(url.Reveal())); why != "" {
			s.why = fmt.Sprintf("TOWER_DB_URL in the environment of container %s is not understood: %s.", s.container, why)
		}
	} else {
		s.why = fmt.Sprintf("The environment of container %s has no TOWER_DB_URL.", s.container)
	}
	s.where.User, s.where.Password = environment["TOWER_DB_USER"].Reveal(), environment["TOWER_DB_PASSWORD"]
	attached, gateway := endpointsOf(c), ""
	s.networks = slices.Sorted(maps.Keys(attached))
	for _, name := range s.networks {
		gateway = cmp.Or(gateway, attached[name].gateway)
	}
	if c.HostConfig != nil {
		for _, entry := range c.HostConfig.ExtraHosts {
			host, address, _ := strings.Cut(entry, ":")
			if address == "host-gateway" {
				address = gateway // the VM itself, as seen from the container's network
			}
			if host != "" && address != "" {
				s.hosts[host] = address
			}
		}
	}
	return s
}

func memberOf(c container.InspectResponse) member {
	m := member{container: strings.TrimPrefix(c.Name, "/"), networks: map[string]endpoint{}}
	if c.State != nil {
		m.state = c.State.Status
	}
	for name, at := range endpointsOf(c) {
		m.networks[name] = endpoint{address: at.address, names: append(at.names, c.Config.Labels[labelService], m.container)}
	}
	return m
}

type attachment struct {
	address, gateway string
	names            []string
}

// endpointsOf gives the networks on which the Engine resolves names: all but the three that it brings along.
func endpointsOf(c container.InspectResponse) map[string]attachment {
	found := map[string]attachment{}
	if c.NetworkSettings == nil {
		return found
	}
	for name, at := range c.NetworkSettings.Networks {
		if at == nil || name == "bridge" || name == "host" || name == "none" {
			continue
		}
		found[name] = attachment{
			address: cmp.Or(at.IPAddress, at.GlobalIPv6Address), gateway: cmp.Or(at.Gateway, at.IPv6Gateway),
			names: slices.Concat(at.Aliases, at.DNSNames), // DNSNames since API 1.44
		}
	}
	return found
}
