<?php
// SPDX-License-Identifier: Apache-2.0
// claim returns what the provider says about the user: null if no user is signed in.
function claim(string $name): ?string
{
    $value = $_SERVER["OIDC_CLAIM_$name"] ?? null;
    return $value === null ? null : base64_decode(strtr($value, '-_', '+/'));
}

$user = claim('sub'); // the key of an account: a number may change hands
?>
<!doctype html>
<meta charset="utf-8">
<title>PHP example</title>
<?php if ($user === null): ?>
  <p><a href="/sign-in.php">Sign in with Truecaller</a></p>
<?php else: ?>
  <p>Hello, <b id="name"><?= htmlspecialchars(claim('name')) ?></b>.
    Your number is <b id="phone"><?= htmlspecialchars(claim('phone_number') ?? '') ?></b>.</p>
  <p><a href="/callback?logout=">Sign out</a></p>
<?php endif ?>
