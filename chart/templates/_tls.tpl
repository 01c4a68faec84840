{{- /*
The registry's own certificate: where it comes from, for which names it is, and what the pod is told of
it. All helpers take the root context unless they say otherwise.
*/}}

{{- /*
docker-registry.tls.mode: the mode in force: none, secret, certManager or selfSigned. Without one it is
what the charts before this one knew: a Secret, or the two texts.
*/}}
{{- define "docker-registry.tls.mode" -}}
{{- $texts := not (or (empty .Values.tls.crt) (empty .Values.tls.key)) }}
{{- $asked := include "docker-registry.text" .Values.tls.mode }}
{{- if has $asked (list "none" "secret" "certManager" "selfSigned") }}
{{- $asked }}
{{- else }}
{{- ternary "secret" "none" (or $texts (not (empty .Values.tlsSecretName))) }}
{{- end }}
{{- end }}

{{- /*
docker-registry.tlsSecret: the Secret with the registry's certificate, which its pods mount, or nothing
where it speaks HTTP or has a certificate of the user's own configuration.
*/}}
{{- define "docker-registry.tlsSecret" -}}
{{- $mode := include "docker-registry.tls.mode" . }}
{{- $name := include "docker-registry.fullname" . }}
{{- if eq $mode "selfSigned" }}
{{- $name }}-selfsigned
{{- else if eq $mode "certManager" }}
{{- $name }}-certmanager
{{- else if eq $mode "secret" }}
{{- $texts := not (or (empty .Values.tls.crt) (empty .Values.tls.key)) }}
{{- include "docker-registry.renderedText" (list . .Values.tlsSecretName) | default (ternary (printf "%s-tls" $name) "" $texts) }}
{{- end }}
{{- end }}

{{- /* docker-registry.tls.fromTexts: true where that Secret is made of tls.crt and tls.key. */}}
{{- define "docker-registry.tls.fromTexts" -}}
{{- if and (eq (include "docker-registry.tls.mode" .) "secret") .Values.tls.crt .Values.tls.key (not .Values.tlsSecretName) }}true{{ end }}
{{- end }}

{{- /* docker-registry.tls.authoritySecret: the Secret of the release's own authority, which no pod mounts; nothing without one. */}}
{{- define "docker-registry.tls.authoritySecret" -}}
{{- if eq (include "docker-registry.tls.mode" .) "selfSigned" }}
{{- include "docker-registry.fullname" . }}-selfsigned-ca
{{- end }}
{{- end }}

{{- /*
docker-registry.tls.restarts: true where a renewed certificate takes effect by itself. Left open,
where certificates are renewed for this release, or where something of it may talk to the API anyway: who
comes from another chart with a tlsSecretName and nothing else gets neither rights nor another image.
*/}}
{{- define "docker-registry.tls.restarts" -}}
{{- $asked := include "docker-registry.text" .Values.tls.restartOnRenewal }}
{{- $talks := or .Values.endpoint.enabled (has .Values.tls.mode (list "certManager" "selfSigned")) (eq (include "docker-registry.gc.withCronJob" .) "true") }}
{{- $wanted := ternary (ternary "true" "false" $talks) $asked (eq $asked "") }}
{{- if and (eq $wanted "true") (include "docker-registry.tlsSecret" .) }}true{{ else }}false{{ end }}
{{- end }}

{{- /*
docker-registry.tls.host (list ROOT TEXT): the host of an address, without its port and an IPv6 address'
brackets, in small letters.
*/}}
{{- define "docker-registry.tls.host" -}}
{{- $text := include "docker-registry.renderedText" . | trim | lower }}
{{- if regexMatch "^\\[.*\\](:[0-9]+)?$" $text }}
{{- regexReplaceAll "^\\[(.*)\\](:[0-9]+)?$" $text "${1}" }}
{{- else if regexMatch "^[^:]*:[0-9]+$" $text }}
{{- regexReplaceAll ":[0-9]+$" $text "" }}
{{- else }}
{{- $text }}
{{- end }}
{{- end }}

{{- /*
docker-registry.tls.names: a JSON list of the names and addresses that the values say the registry has.
Not the hosts of an Ingress or an HTTPRoute: there the edge has a certificate of its own. What only the
cluster knows, such as the nodes' addresses, the script adds (scripts/registry_gc/exposure.py).
*/}}
{{- define "docker-registry.tls.names" -}}
{{- $service := include "docker-registry.service.name" . }}
{{- $namespace := include "docker-registry.namespace" . }}
{{- $names := list }}
{{- if or (eq (include "docker-registry.tls.mode" .) "selfSigned") .Values.tls.certManager.internalNames }}
{{- $names = list $service (printf "%s.%s" $service $namespace) (printf "%s.%s.svc" $service $namespace)
  (printf "%s.%s.svc.cluster.local" $service $namespace) "localhost" "127.0.0.1" "::1" }}
{{- range concat (.Values.service.externalIPs | default list) (list .Values.service.loadBalancerIP) }}
{{- $names = append $names (include "docker-registry.text" .) }}
{{- end }}
{{- end }}
{{- $trust := .Values.nodeTrust | default dict }}
{{- $trusted := ternary (list $trust.host) list (eq (include "docker-registry.text" $trust.enabled) "true") }}
{{- range concat $trusted (.Values.endpoint.addresses | default list) (.Values.tls.names | default list) }}
{{- $names = append $names (include "docker-registry.tls.host" (list $ .)) }}
{{- end }}
{{- toJson ($names | compact | uniq) }}
{{- end }}

{{- /* docker-registry.tls.sorted (a list of names): a JSON map of `dnsNames` and `ipAddresses`, as a certificate has them. */}}
{{- define "docker-registry.tls.sorted" -}}
{{- $names := list }}
{{- $addresses := list }}
{{- range . }}
{{- if regexMatch "^[0-9]+([.][0-9]+){3}$|:" . }}
{{- $addresses = append $addresses . }}
{{- else }}
{{- $names = append $names . }}
{{- end }}
{{- end }}
{{- toJson (dict "dnsNames" $names "ipAddresses" $addresses) }}
{{- end }}

{{- /* docker-registry.tls.scriptEnv: a list of {name, value}: what the scripts are told of the certificate. */}}
{{- define "docker-registry.tls.scriptEnv" -}}
{{- $env := list }}
{{- with include "docker-registry.tlsSecret" . }}
{{- $env = append $env (dict "name" "GC_TLS_SECRET" "value" .) }}
{{- end }}
{{- with include "docker-registry.tls.authoritySecret" . }}
{{- $own := $.Values.tls.selfSigned }}
{{- $env = concat $env (list
  (dict "name" "GC_TLS_AUTHORITY_SECRET" "value" .)
  (dict "name" "GC_TLS_HOSTS" "value" (include "docker-registry.tls.names" $ | fromJsonArray | join " "))
  (dict "name" "GC_TLS_LIFETIME" "value" (include "docker-registry.text" $own.lifetime))
  (dict "name" "GC_TLS_AUTHORITY_LIFETIME" "value" (include "docker-registry.text" $own.authorityLifetime))) }}
{{- end }}
{{- if and (include "docker-registry.tlsSecret" .) (ne (include "docker-registry.tls.restarts" .) "true") }}
{{- $env = append $env (dict "name" "GC_TLS_RESTART" "value" "false") }}
{{- end }}
{{- toYaml $env }}
{{- end }}

{{- /* docker-registry.tls.clientCA: the Secret of who signs clients' certificates, or nothing. */}}
{{- define "docker-registry.tls.clientCA" -}}
{{- include "docker-registry.renderedText" (list . .Values.tls.clientCA.secretRef) }}
{{- end }}

{{- /*
docker-registry.tls.clientsMust: true where who has no certificate of a client is not let in, by the
values or by the user's own configuration: then no probe and no test of ours can ask.
*/}}
{{- define "docker-registry.tls.clientsMust" -}}
{{- $auth := include "docker-registry.configured" (list . "http" "tls" "clientauth") }}
{{- if include "docker-registry.tls.clientCA" . }}
{{- if and .Values.tls.clientCA.required (eq (include "docker-registry.scheme" .) "https") }}true{{ end }}
{{- else if and (include "docker-registry.configured" (list . "http" "tls" "clientcas")) (has $auth (list "" "require-any-client-cert" "require-and-verify-client-cert")) }}true
{{- end }}
{{- end }}

{{- /*
docker-registry.tlsEnv. TLS 1.2 is what every registry begins with by itself (2.8 and 3, tried), so it
stands here only for who chose a mode: a peer's tlsSecretName alone stays what it was.
*/}}
{{- define "docker-registry.tlsEnv" -}}
{{- $tls := .Values.tls }}
{{- if include "docker-registry.tlsSecret" . }}
- {name: REGISTRY_HTTP_TLS_CERTIFICATE, value: "/etc/ssl/docker/tls.crt"}
- {name: REGISTRY_HTTP_TLS_KEY, value: "/etc/ssl/docker/tls.key"}
{{- end }}
{{- if eq (include "docker-registry.scheme" .) "https" }}
{{- $version := include "docker-registry.text" $tls.minimumVersion }}
{{- $said := include "docker-registry.configured" (list . "http" "tls" "minimumtls") }}
{{- if and (not $said) (or $tls.mode (ne $version "1.2")) }}
- {name: REGISTRY_HTTP_TLS_MINIMUMTLS, value: {{ printf "tls%s" $version | quote }}}
{{- end }}
{{- if include "docker-registry.tls.clientCA" . }}
- {name: REGISTRY_HTTP_TLS_CLIENTCAS, value: {{ list "/etc/docker-registry/client-ca/ca.crt" | toJson | quote }}}
{{- if not $tls.clientCA.required }}
- {name: REGISTRY_HTTP_TLS_CLIENTAUTH, value: "verify-client-cert-if-given"}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- define "docker-registry.tlsMounts" -}}
{{- if include "docker-registry.tlsSecret" . }}
- name: tls-cert
  mountPath: /etc/ssl/docker
  readOnly: true
{{- end }}
{{- if include "docker-registry.tls.clientCA" . }}
- name: tls-client-ca
  mountPath: /etc/docker-registry/client-ca
  readOnly: true
{{- end }}
{{- end }}

{{- define "docker-registry.tlsVolumes" -}}
{{- with include "docker-registry.tlsSecret" . }}
- name: tls-cert
  secret:
    secretName: {{ . | quote }}
{{- end }}
{{- with include "docker-registry.tls.clientCA" . }}
- name: tls-client-ca
  secret:
    secretName: {{ . | quote }}
    items:
      - key: {{ $.Values.tls.clientCA.key | default "ca.crt" | quote }}
        path: ca.crt
{{- end }}
{{- end }}

{{- /*
docker-registry.tls.probe: how the registry is asked whether it is well. A kubelet has no certificate to
show: where clients must, the port of the metrics says it, or else only that the port is open.
*/}}
{{- define "docker-registry.tls.probe" -}}
{{- $port := include "docker-registry.port" . | int }}
{{- $debug := include "docker-registry.configured" (list . "http" "debug" "addr") }}
{{- if not (include "docker-registry.tls.clientsMust" .) }}
httpGet:
  path: /
  port: {{ $port }}
  {{- if or (include "docker-registry.tlsSecret" .) (include "docker-registry.configured" (list . "http" "tls" "certificate")) }}
  scheme: HTTPS
  {{- end }}
{{- else if or (and .Values.metrics.enabled (not $debug)) (regexMatch "^(0[.]0[.]0[.]0|\\[::\\])?:[0-9]+$" $debug) }}
httpGet:
  path: /debug/health
  port: {{ include "docker-registry.debugPort" . | int }}
{{- else }}
tcpSocket:
  port: {{ $port }}
{{- end }}
{{- end }}
