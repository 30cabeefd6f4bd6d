package main

import (
	"encoding/json"
	"fmt"
	"strings"
)

// delegate is a network that the pod is attached to.
type delegate struct {
	// Name is namespace/name of the definition; of the cluster network, its own.
	Name      string          `json:"name"`
	Config    json.RawMessage `json:"config"`
	Interface string          `json:"interface"`
	IPs       []string        `json:"ips"`
	Mac       string          `json:"mac"`
}

// selection is an item of the annotation networks.
type selection struct {
	Name      string         `json:"name"`
	Namespace string         `json:"namespace"`
	Interface string         `json:"interface"`
	IPs       []string       `json:"ips"`
	Mac       string         `json:"mac"`
	CNIArgs   map[string]any `json:"cni-args"`
}

// delegates are all networks of the pod, in the order in which they are attached.
func (c *config) delegates(pod *pod) ([]delegate, error) {
	var named struct {
		Name string `json:"name"`
	}
	if err := json.Unmarshal(c.Delegates[0], &named); err != nil {
		return nil, err
	}
	all := []delegate{{Name: named.Name, Config: c.Delegates[0]}}
	replaced, err := selections(pod.annotation("v1.multus-cni.io/default-network"), c.Namespace)
	if err != nil {
		return nil, err
	}
	if len(replaced) > 0 {
		if all[0], err = c.define(replaced[0]); err != nil {
			return nil, err
		}
	}
	// Pods of kube-system are attached to the cluster's network alone.
	if pod.Metadata.Namespace == "kube-system" {
		return all, nil
	}
	wanted, err := selections(strings.Join(c.DefaultNetworks, ","), c.Namespace)
	if err != nil {
		return nil, err
	}
	own, err := selections(pod.annotation("k8s.v1.cni.cncf.io/networks"), pod.Metadata.Namespace)
	if err != nil {
		return nil, err
	}
	for _, selection := range append(wanted, own...) {
		delegate, err := c.define(selection)
		if err != nil {
			return nil, err
		}
		all = append(all, delegate)
	}
	return all, nil
}

// define reads the definition of a network.
func (c *config) define(wanted selection) (delegate, error) {
	name := wanted.Namespace + "/" + wanted.Name
	none := delegate{}
	text, err := readDefinition(c, wanted.Namespace, wanted.Name)
	if err != nil {
		return none, err
	}
	content := map[string]any{}
	if err := json.Unmarshal([]byte(text), &content); err != nil {
		return none, fmt.Errorf("definition %s: %w", name, err)
	}
	if set, _ := content["name"].(string); set == "" {
		content["name"] = wanted.Name
	}
	if wanted.CNIArgs != nil {
		content["args"] = map[string]any{"cni": wanted.CNIArgs}
	}
	config, err := json.Marshal(content)
	return delegate{name, config, wanted.Interface, wanted.IPs, wanted.Mac}, err
}

// selections reads either form of the annotation; home is the namespace of names without one.
func selections(text, home string) ([]selection, error) {
	var all []selection
	if strings.ContainsAny(text, `[{"`) {
		if err := json.Unmarshal([]byte(text), &all); err != nil {
			return nil, fmt.Errorf("read the list of networks: %w", err)
		}
	} else {
		for _, item := range strings.Split(text, ",") {
			if item = strings.TrimSpace(item); item == "" {
				continue
			}
			path, ifName, _ := strings.Cut(item, "@")
			namespace, name, ok := strings.Cut(path, "/")
			if !ok {
				namespace, name = "", path
			}
			all = append(all, selection{Name: name, Namespace: namespace, Interface: ifName})
		}
	}
	for index := range all {
		if all[index].Namespace == "" {
			all[index].Namespace = home
		}
	}
	return all, nil
}
