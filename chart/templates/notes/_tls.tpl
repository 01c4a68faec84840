{{- /*
What NOTES.txt says about the registry's own certificate. All helpers take the root context unless they
say otherwise.
*/}}

{{- /*
docker-registry.notes.certificate: how a client gets what it has to trust, before the commands that need
it. For a Secret of the user's own nothing: they know who signed it.
*/}}
{{- define "docker-registry.notes.certificate" -}}
{{- $mode := include "docker-registry.tls.mode" . }}
{{- $secret := include "docker-registry.tlsSecret" . }}
{{- $get := printf "kubectl get secret %s -n %s -o jsonpath='{.data.ca\\.crt}' | base64 -d > ca.crt" $secret (include "docker-registry.namespace" .) }}
{{- if eq $mode "selfSigned" }}
  {{ $get }}    # whom clients must trust
{{- else if eq $mode "certManager" }}
  kubectl get certificate {{ $secret }} -n {{ include "docker-registry.namespace" . }}    # READY once its issuer has signed; the pods wait for it
  {{ $get }}    # whom clients must trust; empty where everybody does
{{- end }}
{{- if and (has $mode (list "selfSigned" "certManager")) (include "docker-registry.notes.straightWays" . | fromJsonArray) }}
  Docker reads it from /etc/docker/certs.d/HOST:PORT/ca.crt on its own machine, without a restart.
{{- end }}
{{- end }}

{{- /* docker-registry.notes.straightWays: a JSON list of the Service's ways from outside that lead to the registry's own certificate. */}}
{{- define "docker-registry.notes.straightWays" -}}
{{- $ways := list }}
{{- if and .Values.service.create (has .Values.service.type (list "NodePort" "LoadBalancer")) }}
{{- $ways = append $ways .Values.service.type }}
{{- end }}
{{- toJson $ways }}
{{- end }}

{{- /* docker-registry.notes.straight (list ROOT URL): docker-registry.notes.curl, for a way on which the registry's own certificate is met. */}}
{{- define "docker-registry.notes.straight" -}}
{{- $root := index . 0 }}
{{- $flags := "" }}
{{- if eq (include "docker-registry.tls.mode" $root) "selfSigned" }}
{{- $flags = "--cacert ca.crt " }}
{{- end }}
{{- if include "docker-registry.tls.clientsMust" $root }}
{{- $flags = printf "%s--cert client.crt --key client.key " $flags }}
{{- end }}
{{- include "docker-registry.notes.curl" . | replace "curl " (printf "curl %s" $flags) }}
{{- end }}

{{- /* docker-registry.notes.risks.tls: a line `- sentence` each. */}}
{{- define "docker-registry.notes.risks.tls" -}}
{{- $mode := include "docker-registry.tls.mode" . }}
{{- $named := or .Values.tls.names .Values.endpoint.addresses }}
{{- $ways := include "docker-registry.notes.straightWays" . | fromJsonArray }}
{{- $nodes := and (eq $mode "selfSigned") (eq (include "docker-registry.endpoint.nodes" .) "true") }}
{{- if and (has "NodePort" $ways) (has $mode (list "selfSigned" "certManager")) (not $named) (not $nodes) }}
- The certificate has no node's name or address, so clients refuse it at the NodePort, but for localhost. Set {{ if eq $mode "selfSigned" }}endpoint.nodeAddresses: true, or {{ end }}tls.names.
{{- end }}
{{- if and (has "LoadBalancer" $ways) (eq $mode "certManager") (not $named) (not .Values.service.loadBalancerIP) }}
- The certificate does not have the load balancer's address or name, so clients refuse it there. Set tls.names.
{{- end }}
{{- if and (has $mode (list "selfSigned" "certManager")) (ne (include "docker-registry.tls.restarts" .) "true") }}
- tls.restartOnRenewal is false: a renewed certificate is served only once the registry is restarted. Do so in time, or set it to true.
{{- end }}
{{- if include "docker-registry.tls.clientsMust" . }}
{{- if eq (include "docker-registry.ingress.exists" .) "true" }}
- Who shows no certificate is turned away, the Ingress controller too. Give it one: for ingress-nginx by nginx.ingress.kubernetes.io/proxy-ssl-secret in ingress.annotations.
{{- end }}
{{- if eq (include "docker-registry.httpRoute.exists" .) "true" }}
- Who shows no certificate is turned away, the Gateway too. Give it one, or set tls.clientCA.required: false.
{{- end }}
{{- end }}
{{- end }}

{{- /* docker-registry.notes.withoutEffect.tls: a line `- sentence` each. */}}
{{- define "docker-registry.notes.withoutEffect.tls" -}}
{{- $mode := include "docker-registry.tls.mode" . }}
{{- $tls := .Values.tls }}
{{- $made := has $mode (list "selfSigned" "certManager") }}
{{- if and $tls.names (not $made) }}
- tls.names: tls.mode is {{ $mode }}, and the names of that certificate are not this chart's to choose. Set tls.mode: selfSigned or certManager, or remove it.
{{- end }}
{{- if and $tls.certManager.issuerRef.name (ne $mode "certManager") }}
- tls.certManager.issuerRef: tls.mode is {{ $mode }}. Set tls.mode: certManager.
{{- end }}
{{- if and (ne (include "docker-registry.text" $tls.minimumVersion) "1.2") (eq (include "docker-registry.scheme" .) "http") }}
- tls.minimumVersion: the registry speaks plain HTTP. Set tls.mode.
{{- end }}
{{- if and (eq (include "docker-registry.text" $tls.restartOnRenewal) "false") (eq $mode "none") }}
- tls.restartOnRenewal: the registry has no certificate from a Secret. Remove it.
{{- end }}
{{- end }}
