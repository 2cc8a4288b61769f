<?php
// SPDX-License-Identifier: Apache-2.0
// Apache lets only signed-in users in here, and sends all other users to the provider first.
header('Location: /');
