// SPDX-License-Identifier: Apache-2.0
package example;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.core.OAuth2AuthenticationException;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.security.web.WebAttributes;
import org.springframework.stereotype.Controller;
import org.springframework.ui.Model;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.SessionAttribute;

@SpringBootApplication
@Controller
public class Application {
    public static void main(String[] args) {
        SpringApplication.run(Application.class, args);
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http, ClientRegistrationRepository clients) throws Exception {
        // Signs the user out of the provider, too, which returns the browser.
        var signOut = new OidcClientInitiatedLogoutSuccessHandler(clients);
        signOut.setPostLogoutRedirectUri("{baseUrl}/");
        return http
            .authorizeHttpRequests(requests -> requests
                .requestMatchers("/", "/error").permitAll()
                .anyRequest().authenticated())
            // Without a loginPage, Spring shows one of its own.
            .oauth2Login(login -> login.loginPage("/").failureUrl("/?error"))
            .logout(logout -> logout.logoutSuccessHandler(signOut))
            .build();
    }

    @GetMapping("/")
    String home(@AuthenticationPrincipal OidcUser user,
                @RequestParam(required = false) String error,
                @SessionAttribute(name = WebAttributes.AUTHENTICATION_EXCEPTION, required = false) Exception failure,
                Model model) {
        // The key of an account is user.getSubject(): a number may change hands.
        model.addAttribute("user", user);
        if (error != null && failure instanceof OAuth2AuthenticationException e) {
            model.addAttribute("error", e.getError().getErrorCode()); // access_denied if the user declined
        }
        return "home";
    }
}
