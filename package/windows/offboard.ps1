# Take this device out of management: every setting goes back. A protected device needs an offboarding package.
[CmdletBinding()]
param([string] $Reason = '', [string] $Package, [switch] $WithoutServer)

Import-Module (Join-Path $PSScriptRoot 'Common.psm1') -Force
Assert-Administrator
$words = @('offboard', '--reason', $Reason)
if ($Package) { $words += @('--package', (Resolve-Path $Package).Path) }
if ($WithoutServer) { $words += '--without-server' }
Invoke-Agent $words
