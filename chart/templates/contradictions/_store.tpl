{{- /* docker-registry.contradictions.store (root context): a line `- sentence` each, about where the images are. */}}
{{- define "docker-registry.contradictions.store" -}}
{{- $storage := .Values.storage }}
{{- $drivers := list "filesystem" "s3" "azure" "gcs" "swift" }}
{{- $own := include "docker-registry.mapAt" (list .Values.configData "storage" $storage) | fromYaml }}
{{- /* A driver that somebody's own image and configData have worked at the charts before. */}}
{{- if and (not (has $storage $drivers)) (not $own) }}
- storage is {{ $storage }}, which this chart does not know. Set one of {{ join ", " $drivers }}, or describe it in configData.storage.
{{- end }}
{{- if and (eq $storage "swift") (eq (include "docker-registry.imageMajor" .) "3") }}
- storage is swift, which registry 3 no longer has. Set image.tag: 2.8.3, or move the images to another storage first.
{{- end }}
{{- $identity := get .Values.azure "credentials" }}
{{- if and (eq $storage "azure") $identity (not (kindIs "map" $identity)) }}
- azure.credentials is {{ include "docker-registry.shown" $identity }}. Write {type: default_credentials}, or {type: client_secret} with clientid, tenantid and secret.
{{- end }}
{{- include "docker-registry.contradictions.driver" . }}
{{- include "docker-registry.contradictions.emptyStore" . }}
{{- with .Values.persistence }}
{{- if and .hostPath.path .existingClaim }}
- persistence.hostPath.path is {{ .hostPath.path }} and persistence.existingClaim is {{ .existingClaim }}: the store can only be in one of them. Remove one.
{{- end }}
{{- if and .hostPath.path (not (hasPrefix "/" .hostPath.path)) }}
- persistence.hostPath.path is {{ .hostPath.path }}, which is not a path from the root of the node. Begin it with a slash.
{{- end }}
{{- if has (.hostPath.path | clean) (list "/" "/bin" "/boot" "/dev" "/etc" "/home" "/lib" "/lib64" "/opt" "/proc" "/root" "/run" "/sbin" "/sys" "/tmp" "/usr" "/var" "/var/lib" "/var/log") }}
- persistence.hostPath.path is {{ .hostPath.path }}, a folder of the node itself, which an init container would give to the registry's user. Set a folder of the registry's own, such as /var/lib/docker-registry.
{{- end }}
{{- if and .enabled (not .existingClaim) (not .hostPath.path) }}
{{- include "docker-registry.quantity" (list "persistence.size" .size "10Gi") }}
{{- $modes := list "ReadWriteOnce" "ReadOnlyMany" "ReadWriteMany" "ReadWriteOncePod" }}
{{- range .accessModes | default (list .accessMode) }}
{{- if not (has . $modes) }}
- persistence.accessMode is {{ include "docker-registry.shown" . }}. Set one of {{ join ", " $modes }}.
{{- end }}
{{- end }}
{{- if and (has "ReadWriteOncePod" .accessModes) (gt (len .accessModes) 1) }}
- persistence.accessModes has ReadWriteOncePod and others, and a cluster takes it alone. Remove the others.
{{- end }}
{{- end }}
{{- end }}
{{- include "docker-registry.quantity" (list "emptydir.size" .Values.emptydir.size "20Gi") }}
{{- if .Values.proxy.enabled }}
{{- if not (regexMatch "^https?://[^ ]+$" .Values.proxy.remoteurl) }}
- proxy.remoteurl: {{ include "docker-registry.shown" .Values.proxy.remoteurl }} is not an address like https://registry-1.docker.io.
{{- end }}
{{- include "docker-registry.duration" (list "proxy.ttl" .Values.proxy.ttl "seconds" "empty") }}
{{- end }}
{{- end }}

{{- /* docker-registry.quantity (list NAME VALUE EXAMPLE): a sentence, or nothing if VALUE is an amount of bytes. */}}
{{- define "docker-registry.quantity" -}}
{{- $text := include "docker-registry.text" (index . 1) }}
{{- if not (regexMatch "^[0-9]+([.][0-9]+)?([EPTGMk]|[EPTGMK]i|[eE][0-9]+)?$" $text) }}
- {{ index . 0 }}: {{ quote $text }} is not a size like {{ index . 2 }}.
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.driver (root context): what the registry's driver does not start without.
It may also stand in configData, in configSecret, in a variable, or in a Secret that Helm cannot see.
*/}}
{{- define "docker-registry.contradictions.driver" -}}
{{- $storage := .Values.storage }}
{{- $needed := dict "s3" (list "bucket" "region") "gcs" (list "bucket") "azure" (list "accountname" "container") "swift" (list "authurl" "container") }}
{{- $elsewhere := or .Values.envFrom .Values.existingSecret (get (get .Values.secrets $storage | default dict) "secretRef") }}
{{- if and (hasKey $needed $storage) (not $elsewhere) }}
{{- $given := include "docker-registry.driverOptions.given" . | fromYaml }}
{{- range $where := list (include "docker-registry.mapAt" (list (include "docker-registry.effectiveConfig" . | fromYaml) "storage" $storage) | fromYaml) (get .Values.secrets $storage) }}
{{- range $key, $value := $where | default dict }}
{{- $_ := set $given (lower $key) ($value | default (get $given (lower $key))) }}
{{- end }}
{{- end }}
{{- range $key := get $needed $storage }}
{{- $said := or (get $given $key) (and (eq $key "region") (get $given "regionendpoint")) (and (eq $storage "azure") (get $given "connectionstring")) }}
{{- $variable := printf "REGISTRY_STORAGE_%s_%s" (upper $storage) (upper $key) }}
{{- range $.Values.extraEnvVars }}
{{- $said = or $said (hasPrefix (get . "name" | toString) $variable) }}
{{- end }}
{{- if not $said }}
{{- $names := dict "accountname" "secrets.azure.accountName" "container" (eq $storage "azure" | ternary "secrets.azure.container" "swift.container") }}
- storage is {{ $storage }}, but its {{ $key }} is not set, and the registry does not start without it. Set {{ get $names $key | default (printf "%s.%s" $storage $key) }}.
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{- /*
docker-registry.contradictions.emptyStore (root context): an upgrade after which the registry would start
without its images, most often because the values of before were not given again.
*/}}
{{- define "docker-registry.contradictions.emptyStore" -}}
{{- $before := include "docker-registry.storeBefore" . }}
{{- $kind := include "docker-registry.volumeKind" . }}
{{- $fullname := include "docker-registry.fullname" . }}
{{- if and (eq $kind "emptyDir") (hasPrefix "the claim" $before) }}
- persistence.enabled is false, but the images of this release are in {{ $before }}: the registry would start without them, and what is pushed then goes with its pod. Set persistence.enabled: true, or give all values of before again (helm upgrade --reset-then-reuse-values). If you mean it, first: kubectl delete deployment,statefulset {{ $fullname }} -n {{ include "docker-registry.namespace" . }}
{{- end }}
{{- if and (eq $kind "claimTemplate") (hasPrefix "the claim " $before) }}
- useStatefulSet is true, but the images of this release are in {{ $before }}: the pods of a StatefulSet would begin with empty claims of their own. Set persistence.existingClaim: {{ trimPrefix "the claim " $before }} to go on with it, or useStatefulSet: false.
{{- end }}
{{- end }}
