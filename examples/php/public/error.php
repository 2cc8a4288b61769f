<!doctype html>
<!-- SPDX-License-Identifier: Apache-2.0 -->
<meta charset="utf-8">
<title>PHP example</title>
<p>You are not signed in: <b id="error"><?= htmlspecialchars($_SERVER['REDIRECT_OIDC_ERROR'] ?? "status $_SERVER[REDIRECT_STATUS]") ?></b>.
  <?= htmlspecialchars($_SERVER['REDIRECT_OIDC_ERROR_DESC'] ?? '') ?></p>
<p><a href="/sign-in.php">Try again</a></p>
