{{- /*
docker-registry.strategy (root context): a volume that one node mounts is not given to a second pod
before the first has left it. Not `Recreate`, which does the same: server-side apply (Helm 4, Argo CD)
refuses to change a Deployment to it, because the cluster filled in `rollingUpdate`. Who asks for it
gets the `null` that makes it work.
*/}}
{{- define "docker-registry.strategy" -}}
{{- $volume := include "docker-registry.volumeKind" . }}
{{- $alone := or (eq $volume "hostPath") (and (eq $volume "claim") (ne .Values.persistence.accessMode "ReadWriteMany")) }}
{{- if .Values.updateStrategy }}
{{- toYaml .Values.updateStrategy }}
{{- if eq (.Values.updateStrategy.type | default "") "Recreate" }}
rollingUpdate: null
{{- end }}
{{- else if $alone }}
type: RollingUpdate
rollingUpdate:
  maxSurge: 0
  maxUnavailable: 1
{{- end }}
{{- end }}

{{- /*
docker-registry.initContainers (root context): in their order: the folder gets its owner, the user's
own, the write test, and the collector, which stays.
*/}}
{{- define "docker-registry.initContainers" -}}
{{- include "docker-registry.folderOwner" . }}
{{- with .Values.initContainers }}
{{ toYaml . }}
{{- end }}
{{- if eq (include "docker-registry.gc.inPod" .) "true" }}
{{ include "docker-registry.gc.writeTest" . }}
{{ include "docker-registry.gc.sidecar" . }}
{{- end }}
{{- end }}

{{- /*
docker-registry.folderOwner (root context): the kubelet makes a hostPath folder as root, and fsGroup
does not count there. Only the folder itself, and only when it belongs to somebody else: CAP_CHOWN
is all that this container has. What is in the folder is left as it is.
*/}}
{{- define "docker-registry.folderOwner" -}}
{{- $user := include "docker-registry.userId" . }}
{{- if and (eq (include "docker-registry.volumeKind" .) "hostPath") $user (ne $user "0") }}
{{- $owner := printf "%s:%s" $user (include "docker-registry.groupId" .) }}
- name: folder-owner
  image: {{ include "docker-registry.image" . | quote }}
  imagePullPolicy: {{ .Values.image.pullPolicy | quote }}
  command:
    - /bin/sh
    - -c
    - |
      folder=/var/lib/registry
      [ "$(stat -c %u:%g "$folder")" = {{ $owner }} ] || chown {{ $owner }} "$folder"
  securityContext:
    allowPrivilegeEscalation: false
    capabilities:
      add: [CHOWN]
      drop: [ALL]
    readOnlyRootFilesystem: true
    runAsNonRoot: false
    runAsUser: 0
    runAsGroup: 0
    seccompProfile:
      type: RuntimeDefault
  volumeMounts:
    - name: data
      mountPath: /var/lib/registry/
{{- end }}
{{- end }}
